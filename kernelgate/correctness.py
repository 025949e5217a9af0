"""Is the kernel right? Planned cases side by side, then drawn ones, and what each law saw of them."""

import contextlib
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import msgspec

from kernelgate.case_plan import CasePlan
from kernelgate.cases import Case
from kernelgate.examiner import HOPELESS, Examined, Examiner, Finding
from kernelgate.law_book import LawLine, describe_laws
from kernelgate.laws import Errors
from kernelgate.profiles import Profile


class Correctness(msgspec.Struct, frozen=True, kw_only=True):
    """The stage's result. Errors are the worst seen; `vendor_ratio` is cuDNN's own, where it ran."""

    where: str
    profile: str
    examples: int
    calls: int
    seconds: float
    entropy: int
    bound_fraction: float
    error_ratio: float
    vendor_ratio: float | None
    laws: tuple[LawLine, ...]
    finding: Finding | None

    @property
    def passed(self) -> bool:
        """Whether every case obeyed every law; a stage that ran no case has not passed."""
        return self.finding is None and self.examples > 0


def describe_correctness(result: Correctness) -> str:
    """Return what held, in a sentence."""
    held = sum(line.status == "held" for line in result.laws)
    untried = ", ".join(line.law for line in result.laws if line.status == "not tried")
    laws = f"{held} laws held" + (f", not tried: {untried}" if untried else "")
    errors = f"worst element at {result.bound_fraction:.2g} of its bound"
    ratio = f"rms error {result.error_ratio:.2g} times TF32's own"
    return f"{result.examples} examples in the {result.where}, {laws}: {errors}, {ratio}"


class Examination:
    """All cases of one kernel: each is tried once, whoever asks for it, and its outcome is remembered."""

    def __init__(
        self, examiners: Sequence[Examiner], pool: ThreadPoolExecutor, tick: Callable[[], None]
    ) -> None:
        self.examiners, self.pool, self.tick = examiners, pool, tick
        self.outcomes: dict[Case, Examined] = {}

    def judge(self, case: Case, examiner: Examiner | None = None) -> Examined:
        """Return what the case showed."""
        if case not in self.outcomes:
            self.outcomes[case] = (examiner or self.examiners[0]).examine(case)
            self.tick()
        return self.outcomes[case]

    def judge_all(self, cases: Sequence[Case]) -> None:
        """Judge the cases side by side, in order, until one fails."""
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            waiting.put(case)

        def work(examiner: Examiner) -> None:
            while self.finding is None:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    return
                self.judge(case, examiner)

        for done in [self.pool.submit(work, examiner) for examiner in self.examiners]:
            done.result()

    @property
    def finding(self) -> Finding | None:
        """The simplest failing case so far."""
        found = [outcome.finding for outcome in list(self.outcomes.values()) if outcome.finding is not None]
        return min(found, key=lambda finding: finding.case.simplicity, default=None)

    @property
    def is_hopeless(self) -> bool:
        """Whether a fault was seen that costs its whole limit each time."""
        found = (outcome.finding for outcome in self.outcomes.values())
        return any(finding is not None and finding.law in HOPELESS for finding in found)

    def conclude(self, where: str, profile: Profile, entropy: int, seconds: float) -> Correctness:
        """Return what all cases together showed."""
        outcomes = list(self.outcomes.values())
        errors = Errors()
        for outcome in outcomes:
            errors = errors.worst(outcome.errors)
        return Correctness(
            where=where,
            profile=profile.name,
            examples=sum(not outcome.untried for outcome in outcomes),
            calls=sum(outcome.calls for outcome in outcomes),
            seconds=seconds,
            entropy=entropy,
            bound_fraction=errors.bound_fraction,
            error_ratio=errors.error_ratio,
            vendor_ratio=max((o.vendor_ratio for o in outcomes if o.vendor_ratio is not None), default=None),
            laws=describe_laws(outcomes, where, self.examiners[0].operation.max_batch),
            finding=self.finding,
        )


def explore(examination: Examination, plan: CasePlan, profile: Profile, entropy: int) -> None:
    """Let Hypothesis draw; from the first failure on it looks for a smaller one, for a bounded time."""
    started = time.monotonic()
    seconds = profile.shrink_seconds if examination.finding else profile.draw_seconds

    @hypothesis.settings(
        max_examples=profile.examples,
        database=profile.database,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        phases=(hypothesis.Phase.reuse, hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.seed(entropy)  # below the settings: it takes the database out of those that it finds
    @hypothesis.given(plan.strategy())
    def every_case_holds(case: Case) -> None:
        nonlocal started, seconds
        out_of_time = examination.is_hopeless or time.monotonic() - started > seconds
        if out_of_time and case not in examination.outcomes:
            return
        finding = examination.judge(case).finding
        if finding is not None:
            if seconds != profile.shrink_seconds:
                started, seconds = time.monotonic(), profile.shrink_seconds
            raise _FailingError(finding.law)

    with contextlib.suppress(_FailingError):  # the examination holds every finding
        every_case_holds()


class _FailingError(Exception):
    """Tells Hypothesis that an example fails."""
