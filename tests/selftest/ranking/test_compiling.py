"""Which kernels of a race can be timed, with a compiler that only pretends."""

from typing import Any

import pytest

from kernelgate.compilation.compiler import TooManyConfigsError
from kernelgate.compilation.recording import UnplannedError
from kernelgate.ranking import compiling
from kernelgate.ranking.race import RankError
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.performance.test_replicate import GPU
from tests.selftest.ranking.test_race import ACCEPTED, make_kernel

A, B = make_kernel("a"), make_kernel("b")


class Compiler:
    """Leaves a plan of each kernel, or raises what a test says."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.timed_plans: dict[str, Any] = {}
        self.compiled: list[str] = []
        self.without: set[str] = set()

    def compile_each(self, _sandbox: Any, kernels: dict[Any, Any], workers: int) -> dict[Any, Any]:
        assert workers >= 1
        return {kernel: self.compile(kernel, targets) for kernel, targets in kernels.items()}

    def compile(self, kernel: Any, targets: Any) -> list[Any] | Exception:
        assert [target.is_timed for target in targets] == [True]
        self.compiled.append(kernel.path)
        self.timed_plans[kernel.sha256] = () if kernel.path in self.without else ("plan",)
        return self.errors.get(kernel.path, [])


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Compiler()
    monkeypatch.setattr(compiling, "compile_each", made.compile_each)
    return made


def test_what_compiles_races(compiler: Any) -> None:
    """The accepted kernel is compiled too, once where it is a candidate itself; PyTorch is not."""
    assert compiling.compile_racers(compiler, [A, B], ACCEPTED, GPU) == {}
    assert sorted(compiler.compiled) == ["0.py", "a.py", "b.py"]
    compiler.compiled.clear()
    assert compiling.compile_racers(compiler, [A, ACCEPTED], ACCEPTED, GPU) == {}
    assert compiling.compile_racers(compiler, [A], None, GPU) == {}
    assert sorted(compiler.compiled) == ["0.py", "a.py", "a.py"]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (WorkerFault(FaultKind.CRASHES, "ended by SIGSEGV", B.sha256), ("WRONG", "crashes")),
        (UnplannedError(B.sha256, "calls-differ", "at a second call"), ("WRONG", "calls-differ")),
        (TooManyConfigsError("b.py: 99 configurations"), ("FORBIDDEN", "too-many-configs")),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_does_not_compile_has_its_verdict_and_the_others_race(
    compiler: Any, error: Exception, verdict: tuple[str, str]
) -> None:
    """Each by itself."""
    compiler.errors["b.py"] = error
    faults = compiling.compile_racers(compiler, [A, B], ACCEPTED, GPU)
    assert {name: (why.outcome.value, why.reason.value) for name, why in faults.items()} == {
        B.sha256: verdict
    }


def test_a_kernel_without_a_plan_for_this_gpu_cannot_race(compiler: Any) -> None:
    """No configuration of it runs here."""
    compiler.without.add("a.py")
    (why,) = compiling.compile_racers(compiler, [A, B], None, GPU).values()
    assert "no configuration runs on the GPU at hand" in why.detail


def test_without_the_accepted_kernel_there_is_no_race(compiler: Any) -> None:
    """Nobody is to blame for that."""
    compiler.errors["0.py"] = WorkerFault(FaultKind.CRASHES, "ended by SIGSEGV", ACCEPTED.sha256)
    with pytest.raises(RankError, match="the accepted kernel cannot be timed"):
        compiling.compile_racers(compiler, [A, B], ACCEPTED, GPU)
