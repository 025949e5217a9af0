"""A kernel file as it is timed: steps of its plan, bound to memory and to programs that are only noted."""

import ctypes
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kernelgate import protocol
from kernelgate.execution.launch_plan import Launch, LaunchPlan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.truth.reference import Tensors
from kernelgate.worker.execute import programs, steps
from kernelgate.worker.execute.arms import PlanArm
from kernelgate.worker.execute.cuda_driver import Parameters
from tests.selftest.support.made_up_plans import (
    BATCH,
    BIAS,
    COMPUTE,
    CONTENTS,
    FILL_PACKED,
    NAMES,
    OUT,
    PACK,
    PACKED,
    PADDED,
    TABLE,
    X,
    make_plan,
    write_plan,
)

CALLS = 3


class PretendedDriver:
    """Takes note of what is loaded, unloaded and launched, with the values of the parameters."""

    def __init__(self) -> None:
        self.loaded: list[object] = []
        self.unloaded: list[object] = []
        self.launched: list[tuple[object, Launch, list[int]]] = []

    def load(self, cubin: bytes, kernel: str, shared_bytes: int) -> object:
        assert (cubin, kernel, shared_bytes) == (CONTENTS["cubin"], "compute", 12288)
        self.loaded.append(object())
        return self.loaded[-1]

    def launch(self, program: object, launch: Launch, parameters: Parameters, stream: int) -> None:
        assert stream == 7
        pointers = (ctypes.c_void_p * len(launch.arguments)).from_address(parameters.address)
        values = [ctypes.c_uint64.from_address(pointer or 0).value for pointer in pointers]
        self.launched.append((program, launch, values))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDriver]:
    pretended = PretendedDriver()
    monkeypatch.setattr(programs, "load_program", pretended.load)
    monkeypatch.setattr(programs, "unload_program", pretended.unloaded.append)
    monkeypatch.setattr(steps, "launch_program", pretended.launch)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=7))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return pretended


@pytest.fixture
def inputs() -> Tensors:
    return {each.name: torch.randn(each.shape_at(BATCH)) for each in ALEXNET_CONV1.arguments}


def make_arm(folder: Path, *plans: LaunchPlan, prepared: tuple[int, ...] = ()) -> PlanArm:
    calls = []
    for number, plan in enumerate(plans or (make_plan(),)):
        (folder / str(number)).mkdir()
        file = str(write_plan(plan, folder / str(number)))
        calls.append(protocol.PlannedCall(plan=file, prepared=prepared))
    return PlanArm(calls)


def test_a_launch_gets_addresses_numbers_and_null(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """In the order of the plan: inputs where the caller has them, temporaries in memory of the arm."""
    arm = make_arm(tmp_path)
    arm.place(inputs, 1)
    arm.call(0)
    program, launch, values = driver.launched[-1]
    held = arm.memories[0].buffers
    assert program is driver.loaded[-1]
    assert launch.grid == (24200, 2, 1)
    places = [held[buffer].data_ptr() for buffer in (PADDED, PACKED, BIAS, TABLE, OUT)]
    assert values == [*places, BATCH, 0]
    assert held[X].data_ptr() == inputs["x"].data_ptr()
    assert held[BIAS].data_ptr() == inputs["bias"].data_ptr()
    assert bytes(held[TABLE].tolist()) == CONTENTS["bin"]


def test_moves_of_data_are_made_in_each_call(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """What stands in x when the call begins is padded, and zeros stand beside it."""
    arm = make_arm(tmp_path)
    arm.place(inputs, 1)
    inputs["x"].fill_(3.0)
    arm.call(0)
    padded = arm.memories[0].buffers[PADDED].view(torch.float32).view(BATCH, 3, 228, 228)
    assert torch.equal(padded[..., 2:226, 2:226], inputs["x"])
    assert float(padded.abs().sum()) == 3.0 * inputs["x"].numel()
    assert len(driver.launched) == 2, "one when the arm took its place, one now"


def test_what_a_file_prepares_once_is_no_part_of_a_call(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """It is made when the parameters are placed, and kept."""
    arm = make_arm(tmp_path, prepared=(FILL_PACKED, PACK))
    arm.place(inputs, CALLS)
    packed = arm.memories[0].buffers[PACKED].view(torch.float32).view(96, 384)
    assert torch.equal(packed[:, :363], inputs["weight"].view(96, 363))
    packed.fill_(5.0)
    arm.call(1)
    assert packed.unique().tolist() == [5.0]
    assert len(driver.launched) == 2


def test_each_call_of_a_sample_has_an_answer_of_its_own(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """All other memory is the same: what the judge looks at later is not written over."""
    arm = make_arm(tmp_path)
    arm.place(inputs, CALLS)
    answers = [arm.call(number) for number in range(CALLS)]
    assert {tuple(answer.shape) for answer in answers} == {ALEXNET_CONV1.output_shape(BATCH)}
    given = [values for _, _, values in driver.launched[-CALLS:]]
    assert [values[4] for values in given] == [answer.data_ptr() for answer in answers]
    assert len({values[4] for values in given}) == CALLS
    assert len({tuple(values[:4]) for values in given}) == 1


def test_code_is_unloaded_and_loaded_anew(driver: PretendedDriver, inputs: Tensors, tmp_path: Path) -> None:
    """The next call runs it from where it lies now; memory stays where it is."""
    arm = make_arm(tmp_path)
    arm.place(inputs, CALLS)
    before = [each.data_ptr() for each in arm.memories[0].buffers]
    arm.load_code()
    arm.call(2)
    assert driver.unloaded == driver.loaded[:1]
    assert len(driver.loaded) == 2
    assert driver.launched[-1][0] is driver.loaded[1]
    assert [each.data_ptr() for each in arm.memories[0].buffers] == before


def test_a_configuration_is_chosen_by_its_number(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """The code of the one before is unloaded."""
    other = KernelConfig(blocks={"BLOCK_M": 64}, num_warps=8, num_stages=3)
    plans = make_plan(), make_plan(config=other), make_plan(config=None)
    arm = make_arm(tmp_path, *plans)
    assert arm.choices == 3
    arm.place(inputs, 1)
    arm.choose(1)
    assert driver.unloaded == driver.loaded
    assert arm.current.plan.config == other
    arm.place(inputs, 1)
    arm.call(0)
    assert driver.launched[-1][0] is driver.loaded[-1]


def test_memory_is_forgotten_when_it_is_released(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """All of it, the answers too."""
    arm = make_arm(tmp_path)
    arm.place(inputs, CALLS)
    arm.release()
    assert (arm.memories, arm.bound) == ([], [])
    assert driver.launched


@pytest.mark.usefixtures("driver")
def test_a_plan_whose_code_is_gone_is_an_error(inputs: Tensors, tmp_path: Path) -> None:
    """Nothing is timed in its place."""
    arm = make_arm(tmp_path)
    (tmp_path / "0" / f"{NAMES['cubin']}.cubin").unlink()
    with pytest.raises(FileNotFoundError):
        arm.place(inputs, 1)


def test_a_step_of_a_plan_is_told_by_its_place(
    driver: PretendedDriver, inputs: Tensors, tmp_path: Path
) -> None:
    """A call without its launch launches nothing."""
    arm = make_arm(tmp_path, prepared=(COMPUTE,))
    arm.place(inputs, 1)
    made: list[Any] = list(driver.launched)
    arm.call(0)
    assert driver.launched == made
