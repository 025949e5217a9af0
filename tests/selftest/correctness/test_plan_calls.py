"""Calls by plans: each is recorded once, and no fault of the gate's own is the kernel's."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.compilation import recorders as recorders_module
from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.recording import PlannedCall, Recorded, UnplannedError
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.calls import Call
from kernelgate.execution.cards import ADA
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import NO_PROOF, WorkerFault
from kernelgate.verdict import Outcome
from tests.selftest.support.made_up_plans import make_plan

KERNEL = KernelFile(path="k.py", sha256="c" * 64, source="")
CALL = Call(recipe=Recipe(family="normal", seed=1, batch=3), pin=0)
STORED = StoredPlan(plan=make_plan(), sha256="a" * 64, contents=Path("/nowhere"))


class PretendedWorker:
    """Answers nothing but the fault that it is told to end in."""

    detail = "seen"

    def __init__(self, fault: FaultKind | None = None) -> None:
        self.fault, self.closed, self.folder = fault, False, Path("/nowhere")

    def send(self, _request: Any) -> None:
        """Take it."""

    def receive(self, *_: Any) -> Any:
        assert self.fault is not None
        raise WorkerFault(self.fault, self.detail)

    def close(self) -> None:
        self.closed = True


class PretendedSandbox:
    """Starts pretended workers; `started` are those that were, by their mode."""

    def __init__(self, fault: FaultKind | None = None) -> None:
        self.fault = fault
        self.started: list[tuple[str, KernelFile | None, PretendedWorker]] = []
        self.limits = SimpleNamespace(run_timeout_s=1.0, whole_run_factor=3)
        self.book = self.notes = None
        self.operation = ALEXNET_CONV1

    def start(self, mode: str, kernel: KernelFile | None, _name: str = "") -> PretendedWorker:
        worker = PretendedWorker(self.fault)
        self.started.append((mode, kernel, worker))
        return worker

    def start_executor(self, mode: str, gpu: str) -> PretendedWorker:
        assert (mode == "execute") == bool(gpu)
        return self.start(mode, None)

    def await_loaded(self, _worker: PretendedWorker) -> None:
        pass


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Planner]:
    """Return what makes a planner whose recorder answers so; a class of error is raised."""

    def make(answer: Any) -> Planner:
        def record(_sandbox: Any, _worker: Any, call: PlannedCall) -> Recorded:
            asked.append(call)
            if isinstance(answer, Exception):
                raise answer
            return answer

        asked: list[PlannedCall] = []
        monkeypatch.setattr(recorders_module, "record", record)
        monkeypatch.setattr(StoredPlan, "read", lambda _self, _digest, kind: kind.encode())
        made = Planner(PretendedSandbox(), KERNEL, Target(capability=89))  # type: ignore[arg-type]
        made.asked = asked  # type: ignore[attr-defined]
        return made

    return make


def test_a_plan_is_recorded_once(planner: Callable[[Any], Any]) -> None:
    """By one recorder, which ends with the planner."""
    made = planner(Recorded(stored=STORED))
    other = msgspec.structs.replace(CALL, recipe=msgspec.structs.replace(CALL.recipe, absent=("bias",)))
    new_values = msgspec.structs.replace(CALL, recipe=msgspec.structs.replace(CALL.recipe, seed=9))
    assert [made.plan(call) for call in (CALL, new_values, other, CALL)] == [STORED] * 4
    assert [(call.batch, call.pin, call.card, call.form) for call in made.asked] == [
        (3, 0, ADA, CallForm()),
        (3, 0, ADA, CallForm(absent=("bias",))),
    ]
    ((mode, kernel, recorder),) = made.sandbox.started
    assert (mode, kernel) == ("record", KERNEL)
    made.close()
    assert recorder.closed


def test_a_plan_that_is_expected_is_recorded_before_it_is_asked_for(planner: Callable[[Any], Any]) -> None:
    """Whoever asks for it then waits for the recorder alone."""
    made = planner(Recorded(stored=STORED))
    assert made.expect(CALL).result().stored is STORED
    assert made.plan(CALL) is STORED
    assert len(made.asked) == 1
    made.close()


def test_a_program_of_another_batch_that_computes_in_less_is_a_finding(
    planner: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled at the measured batch alone is judged before; the text may compile to another here."""
    made = planner(Recorded(stored=STORED))
    monkeypatch.setattr(StoredPlan, "read", lambda *_: b"cvt.rn.bf16.f32 %rs1, %f1;")
    says = r"at N = \d+ it computes in less than the declared tf32: cvt"
    with pytest.raises(UnplannedError, match=says) as caught:
        made.plan(CALL)
    assert caught.value.reason == "declared-math"


def test_a_configuration_that_is_refused_is_untried(planner: Callable[[Any], Any]) -> None:
    """It is not for this call."""
    with pytest.raises(WorkerFault, match="pruned") as caught:
        planner(Recorded(refused="pruned")).plan(CALL)
    assert caught.value.kind is FaultKind.UNTRIED


def test_a_call_without_a_plan_is_a_finding(planner: Callable[[Any], Any]) -> None:
    """By the recorder's reason, of this file."""
    with pytest.raises(UnplannedError, match="reads") as caught:
        planner(Recorded(broken=("reads-values", "reads x"))).plan(CALL)
    assert (caught.value.reason, caught.value.kernel_sha256) == ("reads-values", KERNEL.sha256)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(PlanError("none"), FaultKind.PROTOCOL), (WorkerFault(FaultKind.CRASHES, ""), FaultKind.CRASHES)],
)
def test_a_recorder_that_fails_is_replaced(
    planner: Callable[[Any], Any], error: Exception, kind: FaultKind
) -> None:
    """The file was in it: its end is the file's own."""
    made = planner(error)
    for batch in (3, 4):
        recipe = msgspec.structs.replace(CALL.recipe, batch=batch)
        with pytest.raises(WorkerFault) as caught:
            made.plan(msgspec.structs.replace(CALL, recipe=recipe))
        assert caught.value.kind is kind
    made.close()
    assert [worker.closed for _, _, worker in made.sandbox.started] == [True, True]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (FaultKind.RAISES, FaultKind.RAISES),
        (FaultKind.NO_ANSWER, FaultKind.NO_ANSWER),
        (FaultKind.UNTRIED, FaultKind.UNTRIED),
        (FaultKind.OUT_OF_MEMORY, FaultKind.UNTRIED),
        (FaultKind.CRASHES, FaultKind.NOT_INTERPRETED),
        (FaultKind.PROTOCOL, FaultKind.NOT_INTERPRETED),
    ],
)
def test_what_the_interpreter_fails_in_is_not_the_kernels(kind: FaultKind, told: FaultKind) -> None:
    """No file is in its process: memory that it lacks is not the file's, nor its own crash."""
    sandbox = PretendedSandbox(kind)
    planner: Any = SimpleNamespace(sandbox=sandbox, plan=lambda _: STORED)
    with pytest.raises(WorkerFault) as caught:
        PlanCaller(planner).run(CALL)
    assert caught.value.kind is told
    ((mode, kernel, worker),) = sandbox.started
    assert (mode, kernel, worker.closed) == ("interpret", None, True)


@pytest.mark.parametrize("kind", [FaultKind.RAISES, FaultKind.OUT_OF_MEMORY, FaultKind.CRASHES])
def test_what_a_gpu_fails_in_is_the_kernels(kind: FaultKind) -> None:
    """Its launches alone run there."""
    sandbox = PretendedSandbox(kind)
    planner: Any = SimpleNamespace(sandbox=sandbox, plan=lambda _: STORED)
    with pytest.raises(WorkerFault) as caught:
        PlanCaller(planner, "0").run(CALL)
    assert caught.value.kind is kind
    assert [mode for mode, _, _ in sandbox.started] == ["execute"]


def test_what_is_slow_to_interpret_is_not_hung(
    planner: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loops that do not end are counted by the interpreter; its time says nothing of the kernel."""
    monkeypatch.setattr(PretendedWorker, "detail", f"gave no answer in 60 s. {NO_PROOF}")
    made = planner(Recorded(stored=STORED))
    made.sandbox.fault = FaultKind.NO_ANSWER
    with pytest.raises(WorkerFault, match="too slow to interpret") as caught:
        PlanCaller(made).run(CALL)
    assert caught.value.kind is FaultKind.NOT_INTERPRETED
    assert caught.value.kind.reason.outcome is Outcome.INVALID
    with pytest.raises(WorkerFault) as caught:
        PlanCaller(made, "0").run(CALL)
    assert caught.value.kind is FaultKind.NO_ANSWER, "on a GPU it is the kernel's own"
