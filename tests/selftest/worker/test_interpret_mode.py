"""Launch plans run on the interpreter of TTIR: whole grids, sampled programs, memory like a GPU's."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.calls import Call
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.execution.cards import ADA
from kernelgate.execution.sampling import MAX_LANDMARKS
from kernelgate.kernel_file.source import read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.truth.truth import unravel
from kernelgate.protocol import Ran
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault, live_pids
from kernelgate.settings import load_settings
from tests.selftest.corpus.bad_kernels import CONFIG, with_configs
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.small_kernels import HEAD, MODEL, TWO_LAUNCHES, changed

ROOT = Path(__file__).resolve().parents[3]
BLOCK_M, BLOCK_N, PIXELS = 64, 32, 55 * 55
KERNEL = with_configs(CONFIG.replace('"BLOCK_N": 64', f'"BLOCK_N": {BLOCK_N}'))
NAMES = ("conv2d_fwd_kernel",)
MAX_BYTES = 2 * 2**30

MakeRunner = Callable[[str], PlanCaller]


@pytest.fixture
def runner_of(tmp_path: Path) -> Iterator[MakeRunner]:
    """Give a function that returns a caller of a source; all are closed after the test."""
    sandbox = Sandbox(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    made: list[PlanCaller] = []

    def make(source: str) -> PlanCaller:
        file = tmp_path / "kernel.py"
        file.write_text(source, encoding="utf-8")
        planner = Planner(sandbox, read_kernel(file, 100_000), Target(capability=ADA.capability))
        made.append(PlanCaller(planner))
        return made[-1]

    yield make
    for caller in made:
        caller.close()
        caller.planner.close()
    sandbox.close()


def call_of(batch: int, programs: int = 0, family: str = "normal", seed: int = 5) -> Call:
    """Return a call that samples so many programs, and none where it is 0."""
    recipe = Recipe(family=family, seed=seed, batch=batch)
    return Call(recipe=recipe, pin=0, programs=programs, sampled=NAMES if programs else ())


def case_of(batch: int, programs: int = 0) -> Case:
    """Return a case of normal values."""
    return Case(batch=batch, family="normal", seed=5, pin=0, programs=programs)


def counts(ran: Ran) -> list[tuple[str, int, int]]:
    """Return each launch with the programs that ran and those that there are."""
    return [(launch.kernel, launch.programs_run, launch.programs_total) for launch in ran.launches]


def test_one_image_whole_is_right(runner_of: MakeRunner) -> None:
    """Every program of the grid runs, and the answer obeys every law."""
    examined = CaseRunner(runner_of(KERNEL), LAWS).run(case_of(1))
    assert examined.finding is None
    assert 0 < examined.errors.bound_fraction < 1
    assert examined.first is not None
    programs = -(-PIXELS // BLOCK_M) * 96 // BLOCK_N
    assert counts(examined.first) == [(NAMES[0], programs, programs)]
    (launch,) = examined.first.launches
    assert launch.makes_answer
    assert re.fullmatch("[0-9a-f]{64}", launch.ttir), "by which programs are told apart"


def test_sampled_programs_write_their_tiles_and_nothing_else(runner_of: MakeRunner) -> None:
    """At the measured batch what comes back is the tiles of the sample, in bounded memory, and right."""
    caller = runner_of(KERNEL)
    run = caller.run(call_of(256, programs=6))
    assert peak_bytes() < MAX_BYTES
    ((name, ran, total),) = counts(run.ran)
    assert (name, total) == (NAMES[0], 256 * PIXELS // BLOCK_M * 96 // BLOCK_N)
    assert 6 <= ran <= 6 + MAX_LANDMARKS, "those asked for, and those that its numbers may mean"
    assert run.offsets is not None
    image, channel, row, column = (axis.numpy() for axis in unravel(ALEXNET_CONV1, run.offsets, 256))
    tile = np.stack([(image * PIXELS + row * 55 + column) // BLOCK_M, channel // BLOCK_N])
    tiles, sizes = np.unique(tile, axis=1, return_counts=True)
    assert set(sizes) == {BLOCK_M * BLOCK_N}
    assert tiles.shape[1] == ran
    assert {0, 2} <= set(tiles[1])
    assert run.ran.launches[0].most_written == BLOCK_M * BLOCK_N
    assert CaseRunner(caller, LAWS, NAMES).run(case_of(256, programs=6)).finding is None


def test_the_largest_batch_costs_what_its_programs_touch(runner_of: MakeRunner) -> None:
    """Of 13 GB a few images and pages are made."""
    examined = CaseRunner(runner_of(KERNEL), LAWS, NAMES).run(case_of(ALEXNET_CONV1.max_batch, programs=6))
    assert (examined.finding, examined.untried) == (None, "")
    assert peak_bytes() < MAX_BYTES


def peak_bytes() -> int:
    """Return the most that a worker of this test has held."""
    lines = [line for pid in live_pids() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return 1024 * max(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_a_grid_may_be_too_long_if_the_rest_writes_everything(runner_of: MakeRunner) -> None:
    """Its idle programs are no writers: launching more of them does not make up for a tile left out."""
    tiles = 'triton.cdiv(N * OH * OW, meta["BLOCK_M"])'
    longer = CaseRunner(runner_of(KERNEL.replace(tiles, f"{tiles} * 3 // 2")), LAWS, NAMES).run(
        case_of(300, 6)
    )
    assert longer.finding is None
    assert longer.first is not None
    whole = -(-300 * PIXELS // BLOCK_M)
    assert longer.first.launches[0].programs_idle == (whole * 3 // 2 - whole) * 96 // BLOCK_N
    left_out = KERNEL.replace("m < N * pixels", "m < (N - 3) * pixels").replace(tiles, f"{tiles} * 3 // 2")
    finding = CaseRunner(runner_of(left_out), LAWS, NAMES).run(case_of(300, programs=6)).finding
    assert finding is not None
    assert finding.law == "all-written"


def test_a_wrong_tile_is_found_in_a_sample(runner_of: MakeRunner) -> None:
    """A fault in every program shows at the measured batch, whichever programs are drawn."""
    source = KERNEL.replace("total += shift[None, :]", "total += shift[None, :] * 1.5")
    finding = CaseRunner(runner_of(source), LAWS, NAMES).run(case_of(256, programs=4)).finding
    assert finding is not None
    assert finding.law == "hard-bound"


def test_a_program_that_writes_in_the_place_of_another_is_followed_there(runner_of: MakeRunner) -> None:
    """Its own place is left out; the one whose place it took runs as well, and the two are seen to clash."""
    tile = "m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)"
    source = KERNEL.replace(tile, tile.replace("program_id(0)", "program_id(0) % 8192"))
    run = runner_of(source).run(call_of(256, programs=4))
    (launch,) = run.ran.launches
    assert launch.programs_run > 4
    assert any("wrote the same value as program" in found for found in run.ran.memory)


@pytest.mark.parametrize("batch", [1, 2])
def test_two_launches_run_whole_and_in_order(runner_of: MakeRunner, batch: int) -> None:
    """The second reads what the first wrote, so that neither can be sampled."""
    call = call_of(batch)
    run = runner_of(TWO_LAUNCHES).run(call)
    assert [kernel for kernel, _, _ in counts(run.ran)] == ["fill", "shift"]
    assert run.ran_whole
    assert not any(launch.makes_answer for launch in run.ran.launches)
    assert run.bits is not None
    inputs = make_tensors(ALEXNET_CONV1, call.recipe)
    expected = torch.zeros(batch, 96, 55, 55)
    taken = inputs["x"].flatten()[: inputs["x"].numel() - 16][::3]
    expected.view(-1)[: taken.numel()] = taken * 2
    expected = (expected + inputs["weight"].flatten()[0]) + inputs["bias"].reshape(1, -1, 1, 1)
    torch.testing.assert_close(torch.from_numpy(run.bits.view(np.float32)), expected.flatten())


def test_parameters_are_set_anew_for_each_call(runner_of: MakeRunner) -> None:
    """Two seeds on one plan give two answers; the first seed again gives the first."""
    caller = runner_of(TWO_LAUNCHES)
    calls = [call_of(1, family="constant", seed=seed) for seed in (1, 2, 1)]
    first, second, again = (caller.run(call).bits for call in calls)
    assert first is not None
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_each_call_finds_unwritten_memory_in_another_state(runner_of: MakeRunner) -> None:
    """What a launch leaves out holds what the judge chose for that call, and counts as not written."""
    source = TWO_LAUNCHES.replace("mask=at < count)\n\n\n", "mask=at < count - 1)\n\n\n")
    caller = runner_of(source.replace("        shift[", "        return out\n        shift["))
    runs = [caller.run(msgspec.structs.replace(call_of(1), number=number)) for number in range(3)]
    assert len({run.poison_bits for run in runs}) == 3
    for run in runs:
        assert run.offsets is not None
        assert run.offsets.tolist() == list(range(96 * PIXELS - 1))


def test_an_answer_that_torch_fills_first_comes_whole(runner_of: MakeRunner) -> None:
    """Of what every program ran for, all is there to be judged, also what the fill has left."""
    made = "out = torch.empty((x.shape[0], 96, 55, 55), device=x.device)"
    source = changed(made, made.replace("empty", "zeros"))
    source = changed("mask=at < count)\n\n\n", "mask=at < count - 1)\n\n\n", source)
    run = runner_of(changed("        shift[", "        return out\n        shift[", source)).run(call_of(1))
    assert run.bits is not None
    assert run.bits.size == 96 * PIXELS
    assert run.bits[-1] == 0


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("mask=at < count)\n\n\n", "mask=at < count + 1)\n\n\n", "wrote 1 x 4 bytes outside its buffers"),
        ("mask=at * step < x_count", "mask=at < count", "bytes outside its buffers"),
        ("(triton.cdiv(count, 1024),)", "(2 * triton.cdiv(count, 1024),)", ""),
    ],
    ids=["write", "read", "masked-off"],
)
def test_accesses_outside_the_tensors_are_reported(
    runner_of: MakeRunner, old: str, new: str, found: str
) -> None:
    """One element is enough; what a mask keeps out is no access."""
    run = runner_of(changed(old, new)).run(call_of(1))
    assert bool(run.ran.memory) == bool(found)
    assert found in " ".join(run.ran.memory)


def test_a_wrapper_that_ignores_strides_is_seen_in_each_layout(runner_of: MakeRunner) -> None:
    """The launch gets x with the strides of the layout, and reads other elements than those it means."""
    caller, call = runner_of(TWO_LAUNCHES), call_of(2)
    plain = caller.run(call)
    for layout in ("channels-last", "every-second-item", "column-slice", "transposed"):
        run = caller.run(msgspec.structs.replace(call, layout=layout))
        assert run.ran.inputs_intact
        assert not np.array_equal(plain.bits, run.bits), layout


def test_a_launch_that_writes_into_its_input_is_seen(runner_of: MakeRunner) -> None:
    """Even what is already there."""
    source = changed("    scaled = value", "    tl.store(w_ptr, tl.load(w_ptr))\n    scaled = value")
    assert not runner_of(source).run(call_of(1)).ran.inputs_intact


def test_moves_of_data_are_done_as_torch_does_them(runner_of: MakeRunner) -> None:
    """A padded copy of x, cut out again, is x; a table of the host's holds what the host put there."""
    padded = "torch.nn.functional.pad(x, (2, 2, 2, 2))[:, :, 2:-2, 2:-2].contiguous()"
    source = changed("[grid](x, conv1.weight,", f"[grid]({padded}, torch.full((4,), 0.5, device=x.device),")
    half = changed("tl.load(w_ptr)", "0.5")
    assert np.array_equal(runner_of(source).run(call_of(2)).bits, runner_of(half).run(call_of(2)).bits)


def test_a_move_of_a_huge_tensor_is_not_tried(runner_of: MakeRunner) -> None:
    """It would need more memory than there is here, which is no fault of the file."""
    source = changed("fill[grid](x, ", "fill[grid](x.clone(), ")
    case = case_of(ALEXNET_CONV1.max_batch, programs=1)
    examined = CaseRunner(runner_of(source), LAWS, ("fill", "shift")).run(case)
    assert examined.finding is None
    assert "GiB" in examined.untried


ALONE = f"""{HEAD}
@triton.jit
def alone(x_ptr, out_ptr):
    at = tl.arange(0, 16)
BODY
    tl.store(out_ptr + at, tl.load(x_ptr + at))

{MODEL}
        alone[(1,)](x, out)
        return out
"""


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("    while tl.atomic_add(out_ptr, 0.0) < 1e30:\n        at += 1", "no-answer"),
        ('    at = tl.inline_asm_elementwise("brev.b32 $0, $1;", "=r,r", [at], tl.int32, True, 1)', ""),
    ],
    ids=["endless", "inline-ptx"],
)
def test_what_does_not_end_is_no_answer_and_what_is_lacking_says_nothing(
    runner_of: MakeRunner, body: str, kind: str
) -> None:
    """Programs that wait for ever are the kernel's; an operation that is not interpreted is not."""
    with pytest.raises(WorkerFault) as caught:
        runner_of(ALONE.replace("BODY", body)).run(call_of(1))
    assert caught.value.kind == (kind or "not-interpreted")


def test_without_a_pin_every_configuration_is_tried_first(runner_of: MakeRunner) -> None:
    """As an autotuner does in its first call, on the memory of that call."""
    two = with_configs(CONFIG, CONFIG.replace("num_stages=1", "num_stages=2"))
    run = runner_of(two).run(msgspec.structs.replace(call_of(1), pin=None))
    assert len(run.ran.launches) == 3
    assert run.ran_whole
