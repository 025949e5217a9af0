"""Which configuration users get is told by the launches of the file, and by the judge's times."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate import protocol
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.performance.explanation import users_choice
from kernelgate.performance.explanation.users_choice import UsersChoice, find_users_choice
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import load_settings
from tests.selftest.support.made_up_plans import make_launch, make_plan

GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=1024)
KERNEL: Any = SimpleNamespace(sha256="f" * 64, path="kernel.py")
LIMITS = load_settings(Path(__file__).resolve().parents[4] / "pyproject.toml").limits
PACK, ONE, TWO, OTHER = (letter * 64 for letter in "abcd")


def plan_of(stages: int, *cubins: str, prepared: tuple[int, ...] = ()) -> TimedPlan:
    """Return the plan of a configuration that launches programs of that machine code."""
    config = KernelConfig(blocks={"M": 32}, num_warps=4, num_stages=stages)
    steps = tuple(make_launch(program=cubin) for cubin in cubins)
    plan = make_plan(config=config, steps=steps)
    return TimedPlan(
        stored=StoredPlan(plan=plan, sha256="0" * 64, contents=Path("/nowhere")), prepared=prepared
    )


def name_of(stages: int) -> str:
    return f"32, 4 warps, {stages} stages"


FIRST, SECOND = plan_of(1, PACK, ONE, prepared=(0,)), plan_of(2, PACK, TWO, prepared=(0,))


class PretendedSandbox:
    """Whose user program launches what a test says, and whose arm takes these times by configuration."""

    def __init__(self, cubins: Any, times_ms: dict[int, float]) -> None:
        self.cubins, self.times_ms = cubins, times_ms
        self.operation, self.limits = ALEXNET_CONV1, LIMITS
        self.timed_plans = {KERNEL.sha256: (FIRST, SECOND)}
        self.is_booked = False
        self.asked: list[Any] = []
        self.holds = 0

    def has_book_of(self, sha256: str) -> bool:
        return self.is_booked and sha256 == KERNEL.sha256

    def await_loaded(self, _worker: object) -> None:
        """Be loaded at once."""

    @contextmanager
    def start(self, mode: str, kernel: Any) -> Iterator[Any]:
        assert (mode, kernel, self.holds) == ("use", KERNEL, 1)
        yield SimpleNamespace(ask=self._launch)

    @contextmanager
    def start_arm(self, plans: Sequence[TimedPlan]) -> Iterator[Any]:
        assert self.holds == 1
        self.arm = [each.stored.plan.config.num_stages for each in plans]  # type: ignore[union-attr]
        yield SimpleNamespace(ask=self._time)

    def _launch(self, request: Any, _answer: type, _timeout_s: float) -> Any:
        self.asked.append(request)
        if isinstance(self.cubins, Exception):
            raise self.cubins
        return protocol.Launched(cubins=self.cubins)

    def _time(self, request: Any, _answer: type, _timeout_s: float) -> Any:
        self.asked.append(request)
        times = tuple(self.times_ms[stages] for stages in self.arm)
        return protocol.Warm(chosen=0, times_ms=times if isinstance(request, protocol.WarmUp) else ())


def choice_of(
    monkeypatch: pytest.MonkeyPatch, cubins: Any, times_ms: Sequence[float] = (1.0, 1.0), **changes: Any
) -> tuple[UsersChoice, PretendedSandbox]:
    choice, sandbox = ask(monkeypatch, cubins, times_ms, **changes)
    assert choice is not None
    return choice, sandbox


def ask(
    monkeypatch: pytest.MonkeyPatch, cubins: Any, times_ms: Sequence[float] = (1.0, 1.0), **changes: Any
) -> tuple[UsersChoice | None, PretendedSandbox]:
    sandbox = PretendedSandbox(cubins, dict(enumerate(times_ms, 1)))
    for name, value in changes.items():
        setattr(sandbox, name, value)

    @contextmanager
    def hold(gpu: Gpu) -> Iterator[None]:
        assert gpu is GPU
        sandbox.holds += 1
        yield
        sandbox.holds -= 1

    monkeypatch.setattr(users_choice, "locked", hold)
    return find_users_choice(sandbox, KERNEL, GPU, name_of(1)), sandbox  # type: ignore[arg-type]


def test_the_fastest_is_told_without_another_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file prepares once is no part of the call that is named."""
    choice, sandbox = choice_of(monkeypatch, (ONE,))
    assert choice == UsersChoice(config=name_of(1), fastest=name_of(1))
    assert sandbox.asked == [protocol.NameLaunches(batch=256)]
    assert not choice.matters


@pytest.mark.parametrize(("time_ms", "matters"), [(1.004, False), (1.006, True), (0.99, False)])
def test_another_one_is_timed_beside_the_fastest(
    monkeypatch: pytest.MonkeyPatch, time_ms: float, matters: bool
) -> None:
    """In a process of its own, more often than before; half a percent is no matter."""
    choice, sandbox = choice_of(monkeypatch, (TWO,), (1.0, time_ms))
    assert (choice.config, choice.fastest) == (name_of(2), name_of(1))
    assert choice.slower == pytest.approx(time_ms - 1)
    assert choice.matters is matters
    assert sandbox.arm == [1, 2]
    assert sandbox.asked[1:] == [
        protocol.Prepare(batch=256),
        protocol.WarmUp(batch=256, rounds=users_choice.ROUNDS),
    ]


@pytest.mark.parametrize("cubins", [(), (OTHER,), (PACK, ONE), (ONE, ONE)])
def test_launches_of_no_plan_are_no_choice(monkeypatch: pytest.MonkeyPatch, cubins: tuple[str, ...]) -> None:
    """Whatever the file says of itself."""
    choice, sandbox = choice_of(monkeypatch, cubins)
    assert (choice.config, choice.slower) == ("", 0.0)
    assert "launches in use is none that was recorded" in choice.missing
    assert len(sandbox.asked) == 1


@pytest.mark.parametrize(
    "error", [WorkerFault(FaultKind.RAISES, "ValueError: no"), GpuError("another judge holds it")], ids=str
)
def test_what_goes_wrong_is_told_and_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The verdict is on what was timed."""
    choice, _ = choice_of(monkeypatch, error)
    assert choice.missing == f"is not known: {error}"


def test_the_file_of_a_plan_book_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """On that machine nothing of it runs."""
    choice, sandbox = choice_of(monkeypatch, (ONE,), is_booked=True)
    assert choice.missing == "was not asked: the file was judged by its plans"
    assert sandbox.asked == []


def test_without_a_choice_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with one program gives it to everybody."""
    assert ask(monkeypatch, (ONE,), timed_plans={KERNEL.sha256: (FIRST,)})[0] is None


def test_a_choice_can_be_read_back() -> None:
    """As a part of report.json."""
    choice = UsersChoice(config="a", fastest="b", slower=0.01)
    assert msgspec.json.decode(msgspec.json.encode(choice), type=UsersChoice) == choice
