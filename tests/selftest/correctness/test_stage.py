"""The stage at work on a pretended kernel: who is asked what, where, and what it all comes to."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.correctness import stage as correctness_stage
from kernelgate.correctness import truths
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.calls import Run
from kernelgate.correctness.case import Case
from kernelgate.correctness.coverage import watching
from kernelgate.correctness.lanes import LANE_BYTES, SMALL_BATCH
from kernelgate.correctness.planning.hypothesis_profile import Profile
from kernelgate.correctness.result import Correctness
from kernelgate.correctness.stage import Trial, try_kernel
from kernelgate.execution.cards import ADA, HOPPER
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.observed.decisions import SeenDecision
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import GpuError
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.truth import truth as truth_module
from kernelgate.plan_book.index import CallKey
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.pretended_runner import SMALL, Change, PretendedRunner, make_case, spoiled
from tests.selftest.support.project_settings import LAWS

QUICK = Profile(name="quick", fixed=True, examples=1, draw_seconds=60.0, shrink_seconds=0.01, swept=20)
PROMISED = 2**34
KERNEL = KernelFile(path="k.py", sha256="0" * 64, source="waits = 37\n")
LAUNCH = make_launch(grid=(100, 1, 1))
COMPILED = CompiledKernel(
    target="sm_89",
    kernel_sha256="0" * 64,
    configs=(ConfigRecord(config=SMALL.original.config, launches=(LAUNCH,), error=""),),
)


class Stage:
    """Tries a kernel that is right but for a change; `runners` are those asked for, by mode and GPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runners: list[tuple[str, str, PretendedRunner]] = []
        self.changes: dict[str, Change] = {}
        monkeypatch.setattr(correctness_stage, "PlanCaller", self._start)
        monkeypatch.setattr(watching, "PlanCaller", self._start)
        monkeypatch.setattr(correctness_stage, "UseCaller", self._start_user)
        monkeypatch.setattr(correctness_stage, "scout", lambda *_: ())
        monkeypatch.setattr(Operation, "granule", 1)  # its items count as pictures do
        monkeypatch.setattr(correctness_stage, "read_card_at_hand", lambda: HOPPER)
        for module in (truth_module, truths):
            monkeypatch.setattr(module, "to_gpu", lambda values: values)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: self)
        self.total_memory = PROMISED + LANE_BYTES - 1

    def _start(self, planner: Planner, gpu: str = "") -> PretendedRunner:
        assert planner.kernel is KERNEL
        assert planner.target.capability == (90 if gpu else 89)
        mode = "execute" if gpu else "interpret"
        runner = PretendedRunner(self.changes.get(mode), SMALL, interprets=not gpu)
        self.runners.append((mode, gpu, runner))
        return runner

    def _start_user(self, planned: PretendedRunner, pins: tuple[int, ...]) -> PretendedRunner:
        gpu = next(gpu for _, gpu, runner in self.runners if runner is planned)
        assert pins == (0,)
        runner = PretendedRunner(self.changes.get("use"), SMALL, interprets=False)
        self.runners.append(("use", gpu, runner))
        return runner

    def try_it(
        self,
        gpus: tuple[str, ...] = (),
        replay: Case | None = None,
        workers: int = 1,
        entropy: int = 40,
        book: Any = None,
    ) -> Correctness:
        """Return what the stage says."""
        trial = Trial(
            gpus=gpus,
            profile=QUICK,
            laws=LAWS,
            programs=2,
            entropy=entropy,
            replay=replay,
            workers=workers,
            by_book=book is not None,
        )
        limits = SimpleNamespace(gpu_memory_bytes=PROMISED)
        sandbox: Any = SimpleNamespace(operation=SMALL, ada_on=None, limits=limits, book=book)
        return try_kernel(sandbox, KERNEL, COMPILED, trial, lambda: None)

    def calls(self, mode: str) -> list[Any]:
        return [call for each, _, runner in self.runners for call in runner.calls if each == mode]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


class PretendedBook:
    """Holds the calls of these shapes on a GPU, a batch and a layout each, with a bias and without."""

    def __init__(self, gpu: str, *shapes: tuple[int, str]) -> None:
        self.shapes = set(shapes)
        keys = [CallKey(gpu, batch, 0, CallForm(layout=layout)) for batch, layout in shapes]
        self.index = SimpleNamespace(calls=[SimpleNamespace(key=key) for key in keys])

    def __contains__(self, key: CallKey) -> bool:
        return (key.batch, key.form.layout) in self.shapes


def statuses(result: Correctness) -> dict[str, str]:
    return {line.law: line.status for line in result.laws}


def fail(_run: Run, _place: int) -> Run:
    raise WorkerFault(FaultKind.UNTRIED, "a graph of launches")


def read_outside(run: Run, _place: int) -> Run:
    return msgspec.structs.replace(run, ran=msgspec.structs.replace(run.ran, memory=("read before x",)))


def test_a_kernel_that_is_right_holds_every_law_that_can_be_tried_here(stage: Stage) -> None:
    """Without a GPU cuDNN is not asked; what a file keeps between calls shows in its plans, before."""
    result = stage.try_it()
    assert result.passed
    assert result.where == "interpreter"
    assert {law for law, status in statuses(result).items() if status != "held"} == {
        "second-opinion",
        "earlier-answers",
        "calls-differ",
        "new-contents",
        "two-models",
        "ways",
    }
    assert {mode for mode, _, _ in stage.runners} == {"interpret"}


def test_one_whole_image_comes_first_and_says_what_can_be_sampled(stage: Stage) -> None:
    """Then samples of its kernel, at the batch that the file names among them."""
    stage.try_it()
    first, *others = stage.calls("interpret")
    assert (first.recipe.batch, first.programs) == (1, 0)
    assert {call.sampled for call in others if call.programs} == {("conv",)}
    assert any(call.recipe.batch == 37 for call in others)
    assert any(call.recipe.batch == SMALL.max_batch for call in others)


def test_what_will_be_called_is_expected_from_the_beginning(stage: Stage) -> None:
    """So that its plans are recorded while others run."""
    stage.try_it()
    ((_, _, runner),) = stage.runners
    assert {call.recipe.seed for call in runner.calls if call.recipe.seed} <= {
        call.recipe.seed for call in runner.expected
    } | {0}


def test_nothing_more_is_tried_where_the_first_image_is_wrong(stage: Stage) -> None:
    """It is the finding, and the smallest there is."""
    stage.changes["interpret"] = lambda run, _: spoiled(run)
    result = stage.try_it()
    assert result.finding is not None
    assert (result.finding.law, result.finding.case.batch) == ("exact", 1)
    assert {call.recipe.batch for call in stage.calls("interpret")} == {1}


def test_a_kernel_that_cannot_be_tried_here_has_not_passed(stage: Stage) -> None:
    """Nothing is found wrong with it, and nothing is held; the reason is in the line of each law."""
    stage.changes["interpret"] = fail
    result = stage.try_it()
    assert result.finding is None
    assert not result.passed
    assert set(statuses(result).values()) == {"not tried"}
    assert "a graph of launches" in {line.note for line in result.laws}


def test_a_replay_judges_its_case_and_no_other(stage: Stage) -> None:
    """The image that says what can be sampled is no part of the answer."""
    case = make_case(layout="offset", programs=2, pin=0)
    result = stage.try_it(replay=case)
    assert (result.examples, result.calls, result.passed) == (1, 1, True)
    _, replayed = stage.calls("interpret")
    assert (replayed.recipe, replayed.layout, replayed.sampled) == (case.recipe, "offset", ("conv",))


def test_every_gpu_has_a_worker_of_its_own(stage: Stage) -> None:
    """By the name that the caller gave it; each law is tried but none of the interpreter's is asked twice."""
    result = stage.try_it(gpus=("3", "GPU-ab"))
    assert (result.where, result.passed) == ("GPU", True)
    for wanted in ("execute", "use"):
        assert [gpu for mode, gpu, _ in stage.runners if mode == wanted] == ["3", "GPU-ab"]
    assert statuses(result)["second-opinion"] == statuses(result)["shuffled-batch"] == "held"
    assert all(call.programs == 0 for call in stage.calls("execute"))
    assert {call.way for call in stage.calls("use")} == set(Way)
    assert {call.way for call in stage.calls("execute")} == {Way.PLAINLY}


def test_a_large_gpu_does_small_cases_side_by_side(stage: Stage) -> None:
    """Large batches stay with one worker, calls of the file with another; every law is tried as before."""
    stage.total_memory = PROMISED + 2 * LANE_BYTES
    result = stage.try_it(gpus=("0",))
    assert result.passed
    assert [mode for mode, _, _ in stage.runners] == ["execute", "execute", "use", "execute", "interpret"]
    large, *others = (runner for mode, _, runner in stage.runners if mode == "execute")
    assert max(call.recipe.batch for call in large.calls) == SMALL.max_batch
    assert all(call.recipe.batch <= SMALL_BATCH for runner in others for call in runner.calls)
    assert {call.way for call in stage.calls("use")} == set(Way)
    assert set(statuses(result).values()) == set(statuses(stage.try_it(gpus=("0", "1"))).values())


@pytest.mark.parametrize("gpus", [(), ("0", "1")])
def test_by_a_plan_book_the_file_is_not_called(stage: Stage, gpus: tuple[str, ...]) -> None:
    """The laws that need it called are told as not tried, and why; all others are tried."""
    gpu = HOPPER.name if gpus else ADA.name
    result = stage.try_it(gpus=gpus, book=PretendedBook(gpu, (6, "contiguous"), (5, "contiguous")))
    assert result.passed
    assert "use" not in {mode for mode, _, _ in stage.runners}
    untried = {line.law: line.note for line in result.laws if line.status != "held"}
    spared = (
        "needs the file called, which a plan book spares; the compile stage looked for it in launch plans"
    )
    unasked = {} if gpus else {"second-opinion": "needs a GPU"}
    laws = ("calls-differ", "new-contents", "two-models", "ways", "earlier-answers")
    assert untried == dict.fromkeys(laws, spared) | unasked


def test_beside_what_is_planned_a_book_is_drawn_from(stage: Stage) -> None:
    """Whatever is drawn has every one of its calls in it: the batch of 9 has no smaller one beside it."""
    book = PretendedBook(HOPPER.name, (6, "contiguous"), (5, "contiguous"), (9, "offset"))
    stage.try_it(gpus=("0",), book=PretendedBook(HOPPER.name))
    planned = {(call.recipe.batch, call.layout) for call in stage.calls("execute")}
    stage.runners.clear()
    stage.try_it(gpus=("0",), book=book)
    drawn = {(call.recipe.batch, call.layout) for call in stage.calls("execute")} - planned
    assert drawn
    assert drawn <= book.shapes


def test_what_the_file_does_wrong_is_shown_by_the_file(stage: Stage) -> None:
    """Its launches are right: made again by these, the case would hold, and look like a race."""
    stage.total_memory = PROMISED + 2 * LANE_BYTES
    stage.changes["use"] = lambda run, _: spoiled(run)
    result = stage.try_it(gpus=("0",))
    assert result.finding is not None
    assert result.finding.diagnosis is not None
    assert result.finding.diagnosis.map is not None
    assert result.finding.diagnosis.map.wrong > 0


def test_memory_is_watched_in_the_interpreter_beside_a_gpu(stage: Stage) -> None:
    """A GPU drops a read whose value nobody uses; one interpreted image does not, and its finding counts."""
    stage.changes["interpret"] = read_outside
    result = stage.try_it(gpus=("0",))
    assert {call.recipe.batch for call in stage.calls("interpret")} == {1}
    assert result.finding is not None
    assert result.finding.law == "memory"
    assert result.finding.detail.startswith("in the interpreter")


def deciding(*, both: bool) -> Change:
    """Return what has a kernel compare pixels with 1000, and see one side, or both where they are near."""

    def change(run: Run, _place: int) -> Run:
        seen = SeenDecision(
            kernel="conv",
            line=12,
            place="12:4",
            kind="compares",
            operation="cmpf ogt",
            inputs=("x",),
            ones=int(both and bool(run.call.recipe.near)),
            zeros=1,
            thresholds=("x:447a0000",),
        )
        return msgspec.structs.replace(run, ran=msgspec.structs.replace(run.ran, decisions=(seen,)))

    return change


@pytest.mark.parametrize("gpus", [(), ("0",)])
def test_values_near_a_number_that_the_kernel_decides_at_are_tried(
    stage: Stage, gpus: tuple[str, ...]
) -> None:
    """On the interpreter, which tells which way it went, and on a GPU beside it."""
    stage.changes["interpret"] = deciding(both=True)
    assert stage.try_it(gpus).passed
    for mode in ("interpret", *(["execute"] if gpus else [])):
        assert any(call.recipe.near == "x:447a0000" for call in stage.calls(mode))


@pytest.mark.parametrize("gpus", [(), ("0",)])
def test_a_decision_that_went_one_way_alone_is_refused(stage: Stage, gpus: tuple[str, ...]) -> None:
    stage.changes["interpret"] = deciding(both=False)
    result = stage.try_it(gpus)
    assert result.finding is not None
    assert (result.finding.law, result.finding.forbidden) == ("both-sides", True)
    assert statuses(result)["both-sides"] == "broken"


def test_a_replayed_case_is_not_asked_for_both_sides(stage: Stage) -> None:
    """One case alone tells nothing of the others."""
    stage.changes["interpret"] = deciding(both=False)
    assert stage.try_it(replay=make_case()).finding is None


def test_what_the_interpreter_lacks_ends_the_stage_but_not_beside_a_gpu(stage: Stage) -> None:
    """Nothing is said of the kernel; where a GPU has run it, all the rest is."""

    def lack(_run: Run, _place: int) -> Run:
        raise WorkerFault(FaultKind.NOT_INTERPRETED, "tt.gather")

    stage.changes["interpret"] = lack
    with pytest.raises(WorkerFault, match="gather"):
        stage.try_it()
    assert stage.try_it(gpus=("0",)).passed


def test_a_gpu_without_room_for_the_judge_says_nothing_of_the_kernel(stage: Stage) -> None:
    """It is the GPU that cannot be had."""

    def exhaust(_run: Run, _place: int) -> Run:
        raise torch.OutOfMemoryError("tried to allocate 8 GiB")

    stage.changes["execute"] = exhaust
    with pytest.raises(GpuError, match="left on the GPU to judge"):
        stage.try_it(gpus=("0",))
    assert all(runner.closed for _, _, runner in stage.runners)


@pytest.mark.parametrize("workers", [1, 3])
def test_interpreters_work_side_by_side(stage: Stage, workers: int) -> None:
    """As many as were asked for; all are told to end, whatever came out."""
    stage.try_it(workers=workers)
    assert len(stage.runners) == workers
    assert all(runner.closed for _, _, runner in stage.runners)


def test_workers_end_with_an_error_of_the_gate_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is left running."""

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(correctness_stage, "plan_for_interpreter", stumble)
    with pytest.raises(ZeroDivisionError):
        stage.try_it(workers=2)
    assert [runner.closed for _, _, runner in stage.runners] == [1, 1]


def test_another_entropy_tries_other_contents(stage: Stage) -> None:
    """The same gives the same, down to the seed of each planned case."""
    seeds = []
    for entropy in (40, 40, 41_000):
        stage.runners.clear()
        stage.try_it(entropy=entropy)
        seeds.append({call.recipe.seed for call in stage.calls("interpret")})
    assert seeds[0] == seeds[1]
    # What Hypothesis draws first is always the simplest case, of seed 0.
    assert not seeds[0] & seeds[2] - {0}
