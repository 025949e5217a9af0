"""The table of agreement says what was seen, and fails where plan, file and interpreter part."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.agreement import Agreement, main, render
from benchmarks.file_arm import Times
from kernelgate.correctness.calls import Call, Run
from kernelgate.machine.gpu import Gpu
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.protocol import Ran

ALIKE = Agreement(
    file="k", config="32/64/32", file_bits=True, exact_bits=1.0, ordinary_bits=0.25, apart=1.5e-7
)
TIMES = tuple(Times(file_ms=1.7, plan_ms=1.6, contrast=each) for each in (0.001, 0.002, 0.003, 0.002))
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=2**20)


def make_run(values: list[float]) -> Run:
    call = Call(recipe=Recipe(family="normal", seed=0, batch=1), pin=0)
    bits = np.array(values, np.float32).view(np.uint32)
    ran = Ran(returned="Tensor")
    return Run(call=call, ran=ran, bits=bits, offsets=np.arange(len(values)), poison_bits=0)


def test_a_row_says_whose_bits_and_how_far_apart() -> None:
    """Where sums are not exact it is the share of equal elements, and the largest difference."""
    row = render(msgspec.structs.replace(ALIKE, times=TIMES))
    assert row == (
        "| k, 32/64/32 | the plan's | the same bits | 25.00 % of bits | 1.5e-07 | 1.7000 | 1.6000 "
        "| +0.20 % [0.07, 0.33] |"
    )


def test_what_could_not_be_tried_says_why() -> None:
    """It is no agreement, and no difference either."""
    row = render(Agreement(file="k", config="-", why="not-interpreted: no such operation"))
    assert row == "| k, - | - | - | - | not-interpreted: no such operation | - | - | - |"


def test_differences_are_told_by_bits_and_by_size() -> None:
    """A zero of the other sign has other bits, and is not apart."""
    one, other = make_run([1.0, 0.0, 4.0]), make_run([1.0, -0.0, 3.0])
    assert agreement._same_share(one, other) == pytest.approx(1 / 3)
    assert agreement._apart(one, other) == 0.25


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 0), ({"file_bits": False}, 1), ({"exact_bits": 0.999}, 1), ({"exact_bits": None, "why": "w"}, 0)],
)
def test_the_exit_code_follows_the_bits(
    changes: dict[str, object], status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Integers must agree to the bit, and the file's answers with its plans."""
    found = msgspec.structs.replace(ALIKE, **changes)
    monkeypatch.setattr(agreement, "find_gpu", lambda: GPU)
    monkeypatch.setattr(agreement, "compare", lambda *_args, **_named: [found])
    assert main(["kernels/alexnet_conv1.py", "--json", str(tmp_path / "a.json")]) == status
    assert msgspec.json.decode((tmp_path / "a.json").read_bytes(), type=list[Agreement]) == [found]


def test_the_look_alikes_are_written_as_files(tmp_path: Path) -> None:
    """One each, under its own name."""
    files = agreement._look_alikes(tmp_path)
    assert len(files) > 50
    assert all("ModelNew" in file.read_text(encoding="utf-8") for file in files)


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is compared with nothing."""
    monkeypatch.setattr("kernelgate.machine.gpu.visible_gpus", tuple)
    assert main([]) == 1
    assert "no NVIDIA GPU" in capsys.readouterr().err
