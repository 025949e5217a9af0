"""Is the kernel right? Hypothesis draws cases, a contestant runs them, and the laws judge what comes back."""

import contextlib
import time
from collections.abc import Callable, Iterator

import hypothesis
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from kernelgate import laws
from kernelgate.case_plan import CasePlan
from kernelgate.cases import FAMILIES, Case, Inputs, make_inputs
from kernelgate.contestant import ContestantFault
from kernelgate.operations import Convolution
from kernelgate.reference import Truth, truth_at, truth_everywhere, unravel, vendor_answer
from kernelgate.runners import Run, Runner
from kernelgate.settings import CorrectnessSettings

HOPELESS = ("hangs", "memory", "prints")
"""Faults that cost their whole limit each time: looking for a smaller example would take minutes."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A failing case: the law it broke, and how."""

    case: Case
    law: str
    detail: str
    forbidden: bool


class Correctness(msgspec.Struct, frozen=True, kw_only=True):
    """The stage's result. Errors are the worst seen; `vendor_ratio` is cuDNN's own, where it ran."""

    where: str
    examples: int
    seconds: float
    entropy: int
    bound_fraction: float
    error_ratio: float
    vendor_ratio: float | None
    finding: Finding | None

    @property
    def passed(self) -> bool:
        """Whether every case obeyed every law; a stage that ran no case has not passed."""
        return self.finding is None and self.examples > 0


class Examiner:
    """Judges cases of one kernel and remembers the outcome of each: the same case is run once."""

    def __init__(self, operation: Convolution, runner: Runner, tick: Callable[[], None]) -> None:
        self.operation, self.runner, self.tick = operation, runner, tick
        self.outcomes: dict[Case, Finding | None] = {}
        self.errors = laws.Errors(bound_fraction=0.0, error_ratio=0.0)
        self.vendor_ratio: float | None = None
        self.hopeless = False

    def judge(self, case: Case) -> Finding | None:
        """Return what the case breaks, None if it holds."""
        if case not in self.outcomes:
            self.outcomes[case] = self._judge(case)
            self.tick()
        return self.outcomes[case]

    def smallest_finding(self) -> Finding | None:
        """Return the simplest failing case: smallest batch, then the earliest family."""
        order = list(FAMILIES)
        found = [finding for finding in self.outcomes.values() if finding is not None]
        return min(found, key=lambda f: (f.case.batch, order.index(f.case.family)), default=None)

    def _judge(self, case: Case) -> Finding | None:
        inputs = make_inputs(self.operation, case)
        try:
            run = self.runner.run(case, inputs)
        except ContestantFault as fault:
            self.hopeless |= fault.kind in HOPELESS
            forbidden = fault.kind == "prints"
            return Finding(case=case, law=fault.kind, detail=fault.detail, forbidden=forbidden)
        broken = next(self._laws(case, inputs, run), None)
        if broken is None:
            return None
        return Finding(case=case, law=broken.law, detail=broken.detail, forbidden=broken.forbidden)

    def _laws(self, case: Case, inputs: Inputs, run: Run) -> Iterator[laws.Broken]:
        yield from laws.check_launches(run)
        yield from laws.check_returned(self.operation, case.batch, run)
        yield from laws.check_inputs_intact(run)
        assert run.bits is not None
        if self.runner.mode == "interpret":
            yield from laws.check_all_written(run.bits, run)
        answer, truth, offsets = self._answer_and_truth(inputs, run.bits, run.poison_bits)
        errors = laws.measure_errors(self.operation, answer, truth)
        self.errors = laws.Errors(
            bound_fraction=max(self.errors.bound_fraction, errors.bound_fraction),
            error_ratio=max(self.errors.error_ratio, errors.error_ratio),
        )
        yield from laws.check_bound(self.operation, answer, truth, offsets, run.poison_bits)
        yield from laws.check_error_ratio(errors)

    def _answer_and_truth(
        self, inputs: Inputs, bits: NDArray[np.uint32], poison_bits: int
    ) -> tuple[torch.Tensor, Truth, NDArray[np.int64] | None]:
        """Return answer and truth at the same places: what the interpreter wrote, on a GPU everything."""
        if self.runner.mode == "interpret":
            written = np.flatnonzero(bits != poison_bits)
            answer = torch.from_numpy(bits[written].view(np.float32))
            return answer, truth_at(self.operation, inputs, unravel(self.operation, written)), written
        on_gpu = Inputs(inputs.x.cuda(), inputs.weight.cuda(), inputs.bias.cuda())
        truth = truth_everywhere(self.operation, on_gpu)
        vendor = laws.measure_errors(self.operation, vendor_answer(self.operation, on_gpu), truth)
        self.vendor_ratio = max(self.vendor_ratio or 0.0, vendor.error_ratio)
        return torch.from_numpy(bits.view(np.float32)).cuda().reshape(truth.exact.shape), truth, None


def check_correctness(
    examiner: Examiner, plan: CasePlan, settings: CorrectnessSettings, entropy: int
) -> Correctness:
    """Return the result over the planned cases, all of them, and over as many drawn ones as time allows."""
    started = time.monotonic()
    for case in plan.planned:
        if examiner.judge(case) is not None:
            break
    if plan.draws:
        _explore(examiner, plan, settings, entropy)
    return Correctness(
        where="GPU" if examiner.runner.mode == "gpu" else "interpreter",
        examples=len(examiner.outcomes),
        seconds=time.monotonic() - started,
        entropy=entropy,
        bound_fraction=examiner.errors.bound_fraction,
        error_ratio=examiner.errors.error_ratio,
        vendor_ratio=examiner.vendor_ratio,
        finding=examiner.smallest_finding(),
    )


def _explore(examiner: Examiner, plan: CasePlan, settings: CorrectnessSettings, entropy: int) -> None:
    """Let Hypothesis draw; from the first failure on it looks for a smaller one, for a bounded time."""
    started = time.monotonic()
    seconds = settings.shrink_seconds if examiner.smallest_finding() else settings.draw_seconds

    @hypothesis.seed(entropy)
    @hypothesis.settings(
        max_examples=settings.examples,
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(plan.strategy())
    def holds(case: Case) -> None:
        nonlocal started, seconds
        out_of_time = examiner.hopeless or time.monotonic() - started > seconds
        if out_of_time and case not in examiner.outcomes:
            return
        finding = examiner.judge(case)
        if finding is not None:
            if seconds != settings.shrink_seconds:
                started, seconds = time.monotonic(), settings.shrink_seconds
            raise _FailingError(finding.law)

    with contextlib.suppress(_FailingError):  # the examiner holds every finding
        holds()


class _FailingError(Exception):
    """Tells Hypothesis that an example fails."""
