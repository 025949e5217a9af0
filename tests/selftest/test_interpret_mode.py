"""The real wrapper runs under the interpreter: whole grids, sampled programs, and as Triton would refuse."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from kernelgate.candidate import read_kernel
from kernelgate.cases import Case, make_inputs
from kernelgate.contestant import ContestantFault
from kernelgate.correctness import Examiner
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.runners import Runner
from kernelgate.settings import load_settings
from kernelgate.workplace import Workplace
from tests.selftest.bad_kernels import CONFIG, with_configs
from tests.selftest.small_kernels import TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[2]
BLOCK_M, BLOCK_N, PIXELS = 64, 32, 55 * 55
KERNEL = with_configs(CONFIG.replace('"BLOCK_N": 64', f'"BLOCK_N": {BLOCK_N}'))
MAX_BYTES = 2 * 2**30

MakeRunner = Callable[[str], Runner]


@pytest.fixture
def runner_of(tmp_path: Path) -> Iterator[MakeRunner]:
    """Give a function that returns a runner of a source; all are closed after the test."""
    workplace = Workplace(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    made: list[Runner] = []

    def make(source: str) -> Runner:
        file = tmp_path / "kernel.py"
        file.write_text(source, encoding="utf-8")
        made.append(Runner(workplace, read_kernel(file, 100_000), "interpret"))
        return made[-1]

    yield make
    for runner in made:
        runner.close()
    workplace.close()


def case_of(batch: int, programs: int = 0) -> Case:
    """Return a case of normal values."""
    return Case(batch=batch, family="normal", seed=5, pin=0, programs=programs)


def test_one_image_whole_is_right(runner_of: MakeRunner) -> None:
    """Every program of the grid runs, and the answer obeys every law."""
    runner, case = runner_of(KERNEL), case_of(1)
    examiner = Examiner(ALEXNET_CONV1, runner, lambda: None)
    assert examiner.judge(case) is None
    assert 0 < examiner.errors.bound_fraction < 1
    run = runner.run(case, make_inputs(ALEXNET_CONV1, case))
    assert run.ran.programs_run == run.ran.programs_total == -(-PIXELS // BLOCK_M) * 96 // BLOCK_N


def test_sampled_programs_write_their_tiles_and_nothing_else(runner_of: MakeRunner) -> None:
    """At the measured batch the sample fills its own tiles, in bounded memory; the rest stays poison."""
    runner, case = runner_of(KERNEL), case_of(256, programs=6)
    run = runner.run(case, make_inputs(ALEXNET_CONV1, case))
    assert run.bits is not None
    assert peak_bytes() < MAX_BYTES
    image, channel, pixel = np.unravel_index(np.flatnonzero(run.bits != run.poison_bits), (256, 96, PIXELS))
    tiles, sizes = np.unique(
        np.stack([(image * PIXELS + pixel) // BLOCK_M, channel // BLOCK_N]), axis=1, return_counts=True
    )
    assert tiles.shape[1] == run.ran.programs_run == 6
    assert set(sizes) == {BLOCK_M * BLOCK_N}
    assert run.ran.programs_total == 256 * PIXELS // BLOCK_M * 96 // BLOCK_N
    assert {0, 2} <= set(tiles[1])
    assert Examiner(ALEXNET_CONV1, runner, lambda: None).judge(case) is None


def peak_bytes() -> int:
    """Return the most that the one contestant of this test has held."""
    (contestant,) = psutil.Process().children()
    status = Path(f"/proc/{contestant.pid}/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_wrong_tile_is_found_in_a_sample(runner_of: MakeRunner) -> None:
    """A fault in every program shows at the measured batch, whichever programs are drawn."""
    source = KERNEL.replace("total += shift[None, :]", "total += shift[None, :] * 1.5")
    finding = Examiner(ALEXNET_CONV1, runner_of(source), lambda: None).judge(case_of(256, programs=4))
    assert finding is not None
    assert finding.law == "hard-bound"


@pytest.mark.parametrize("batch", [1, 2])
def test_two_launches_run_whole_and_in_order(runner_of: MakeRunner, batch: int) -> None:
    """The second reads what the first wrote."""
    case = case_of(batch)
    inputs = make_inputs(ALEXNET_CONV1, case)
    run = runner_of(TWO_LAUNCHES).run(case, inputs)
    assert (run.ran.launches, run.ran.programs_run) == (2, run.ran.programs_total)
    assert run.bits is not None
    expected = torch.zeros(batch, 96, 55, 55)
    taken = inputs.x.flatten()[: inputs.x.numel() - 16][::3]
    expected.view(-1)[: taken.numel()] = taken * 2
    expected = (expected + inputs.weight.flatten()[0]) + inputs.bias.reshape(1, -1, 1, 1)
    torch.testing.assert_close(torch.from_numpy(run.bits.view(np.float32)), expected.flatten())


def test_parameters_are_set_anew_for_each_case(runner_of: MakeRunner) -> None:
    """Two seeds in one contestant give two answers; the first seed again gives the first."""
    runner = runner_of(TWO_LAUNCHES)
    cases = [Case(batch=1, family="constant", seed=seed, pin=0, programs=0) for seed in (1, 2, 1)]
    first, second, again = (runner.run(case, make_inputs(ALEXNET_CONV1, case)).bits for case in cases)
    assert first is not None
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_a_launch_on_a_cpu_tensor_is_refused(runner_of: MakeRunner) -> None:
    """As Triton does on a GPU, though the interpreter could read it."""
    runner, case = runner_of(TWO_LAUNCHES.replace("[grid](x, ", "[grid](x.cpu(), ")), case_of(1)
    with pytest.raises(ContestantFault, match="CPU tensor"):
        runner.run(case, make_inputs(ALEXNET_CONV1, case))


def test_an_empty_grid_counts_as_no_launch(runner_of: MakeRunner) -> None:
    """Nothing is launched by it, so nothing is counted that could pass for the kernel's work."""
    source = TWO_LAUNCHES.replace("[grid](", "[(0,)](").replace("[(triton.cdiv(count, 4096), 1)]", "[(0, 1)]")
    case = case_of(1)
    run = runner_of(source).run(case, make_inputs(ALEXNET_CONV1, case))
    assert (run.ran.launches, run.ran.programs_run) == (0, 0)


def test_a_fault_is_followed_by_a_fresh_contestant(runner_of: MakeRunner) -> None:
    """What one case breaks does not reach the next."""
    source = TWO_LAUNCHES.replace(
        "        grid = (", "        if len(x) == 2: torch.os._exit(1)\n        grid = ("
    )
    runner = runner_of(source)
    with pytest.raises(ContestantFault, match="status 1"):
        runner.run(case_of(2), make_inputs(ALEXNET_CONV1, case_of(2)))
    assert runner.run(case_of(1), make_inputs(ALEXNET_CONV1, case_of(1))).bits is not None
