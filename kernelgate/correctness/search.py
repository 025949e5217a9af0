"""Is the kernel right? Planned cases side by side, then drawn ones, and what each law saw of them."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import hypothesis
import msgspec

from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import HOPELESS, CaseResult, CaseRunner
from kernelgate.correctness.coverage.both_sides import asked_of, gather, one_sided
from kernelgate.correctness.coverage.laws import describe_laws
from kernelgate.correctness.coverage.tried import describe_tried
from kernelgate.correctness.lanes import WaitingCases, kind_of
from kernelgate.correctness.planning.hypothesis_profile import Profile
from kernelgate.correctness.planning.plan import CasePlan
from kernelgate.correctness.planning.planned_cases import fitted
from kernelgate.correctness.result import Correctness, Finding
from kernelgate.operations.accuracy.errors import Errors

FEW_ITEMS = (1, 2, 3)


class CaseSearch:
    """All cases of one kernel: each is tried once, whoever asks for it, and its outcome is remembered."""

    def __init__(
        self, case_runners: Sequence[CaseRunner], pool: ThreadPoolExecutor, tick: Callable[[], None]
    ) -> None:
        self.case_runners, self.pool, self.tick = case_runners, pool, tick
        self.outcomes: dict[Case, CaseResult] = {}
        self._one_sided: Finding | None = None

    def judge(self, case: Case, case_runner: CaseRunner | None = None) -> CaseResult:
        """Return what the case showed."""
        if case not in self.outcomes:
            self.outcomes[case] = (case_runner or self.runner_for(case)).run(case)
            self.tick()
        return self.outcomes[case]

    def runner_for(self, case: Case) -> CaseRunner:
        """Return a case runner whose lane takes the case."""
        return next(each for each in self.case_runners if kind_of(case, each.operation) in each.lane)

    def judge_all(self, cases: Sequence[Case], seconds: float = math.inf) -> None:
        """Judge the cases side by side, each lane in order, until one fails.

        None is begun after so many seconds.
        """
        ends, waiting = time.monotonic() + seconds, WaitingCases(cases, self.case_runners[0].operation)
        for case in cases:
            self.case_runners[0].expect(case)

        def work(case_runner: CaseRunner) -> None:
            while self.finding is None and time.monotonic() < ends:
                case = waiting.take(case_runner.lane)
                if case is None:
                    return
                self.judge(case, case_runner)

        for done in [self.pool.submit(work, case_runner) for case_runner in self.case_runners]:
            done.result()

    @property
    def finding(self) -> Finding | None:
        """The simplest failing case so far."""
        found = [outcome.finding for outcome in list(self.outcomes.values()) if outcome.finding is not None]
        return min(found, key=lambda finding: finding.case.simplicity, default=self._one_sided)

    def ask_both_sides(self) -> None:
        """Find fault with a decision that went but one way, if nothing else was found."""
        if self.finding is None:
            outcomes = list(self.outcomes.values())
            decided = asked_of(self.case_runners[0].operation, gather(outcomes))
            self._one_sided = one_sided(decided, sum(bool(each.decisions) for each in outcomes))

    @property
    def is_hopeless(self) -> bool:
        """Whether a fault was seen that costs its whole limit each time."""
        found = (outcome.finding for outcome in self.outcomes.values())
        return any(finding is not None and finding.law in HOPELESS for finding in found)

    def conclude(
        self, where: str, profile: Profile, entropy: int, seconds: float, *, by_book: bool = False
    ) -> Correctness:
        """Return what all cases together showed; `by_book` says that the file itself was not called."""
        outcomes, operation = list(self.outcomes.values()), self.case_runners[0].operation
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
            laws=describe_laws(outcomes, where, operation, self._one_sided, by_book=by_book),
            finding=self.finding,
            tried=describe_tried(outcomes, operation),
        )


def try_fewer_items(search: CaseSearch, plan: CasePlan) -> None:
    """Judge the simplest failing case with one, two and three items, until one fails: fewer show it better.

    A plan book need not have such a call.
    """
    found = search.finding
    if found is None or not found.alone or search.is_hopeless or plan.drawn_from:
        return
    for batch in FEW_ITEMS:
        fewer = fitted(plan.operation, msgspec.structs.replace(found.case, batch=batch))
        if batch < found.case.batch and search.judge(fewer).finding is not None:
            return


def explore(search: CaseSearch, plan: CasePlan, profile: Profile, entropy: int) -> None:
    """Let Hypothesis draw; from the first failure on it looks for a smaller one, for a bounded time.

    Hypothesis tries one case after the other. So what it will draw is judged before, side by side; of each of
    those it then finds the outcome.
    """
    started = time.monotonic()
    seconds = profile.shrink_seconds if search.finding else profile.draw_seconds

    def judge_drawn(case: Case) -> None:
        nonlocal started, seconds
        out_of_time = search.is_hopeless or time.monotonic() - started > seconds
        if out_of_time and case not in search.outcomes:
            return
        finding = search.judge(case).finding
        if finding is not None:
            if seconds != profile.shrink_seconds:
                started, seconds = time.monotonic(), profile.shrink_seconds
            raise _FailingError(finding.law)

    phases = (hypothesis.Phase.reuse, hypothesis.Phase.generate, hypothesis.Phase.shrink)
    draw = partial(_draw, plan, entropy, judge_drawn, phases=phases, database=profile.database)
    with contextlib.suppress(_FailingError):  # the search holds every finding
        draw(max_examples=1)  # what failed before is tried first
        search.judge_all(_draw_ahead(plan, profile, entropy), seconds)
    with contextlib.suppress(_FailingError):
        draw(max_examples=profile.examples)


def _draw_ahead(plan: CasePlan, profile: Profile, entropy: int) -> list[Case]:
    """Return what Hypothesis draws as long as no case fails: the entropy alone decides it."""
    drawn: dict[Case, None] = {}
    how = {"phases": (hypothesis.Phase.generate,), "database": None, "max_examples": profile.examples}
    _draw(plan, entropy, lambda case: drawn.update({case: None}), **how)
    return list(drawn)


def _draw(plan: CasePlan, entropy: int, try_case: Callable[[Case], None], **how: Any) -> None:
    """Have Hypothesis draw cases and give each to `try_case`, which raises for one that fails."""

    @hypothesis.settings(
        **how,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.seed(entropy)  # below the settings: it takes the database out of those that it finds
    @hypothesis.given(plan.strategy())
    def every_case_holds(case: Case) -> None:
        try_case(case)

    every_case_holds()


class _FailingError(Exception):
    """Tells Hypothesis that an example fails."""
