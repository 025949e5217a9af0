"""Judging one case: its calls are made, and each answer is held against every law."""

from collections.abc import Iterator
from functools import partial

import msgspec
import torch

from kernelgate import protocol
from kernelgate.compilation.recording import UnplannedError
from kernelgate.correctness import conduct
from kernelgate.correctness.calls import Call, Caller, Run, count_thinned
from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case, recipe_of
from kernelgate.correctness.lanes import WHOLE, Lane
from kernelgate.correctness.relation import Relation
from kernelgate.correctness.relations import RELATIONS, attribute
from kernelgate.correctness.result import Finding
from kernelgate.correctness.truths import TruthsOnGpu, TruthsOnHost
from kernelgate.execution.observed.decisions import SeenDecision
from kernelgate.operations.accuracy import laws as accuracy
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.accuracy.errors import Errors, Sight, look_at
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.draws.tensors import family_of
from kernelgate.operations.draws.values import Family
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import LawLimits
from kernelgate.verdict import Outcome, Reason

HOPELESS = frozenset(kind for kind in FaultKind if kind.costs_its_limit)
"""The laws of such findings: looking for a smaller example would take minutes."""

MAX_WHOLE_BATCH = 256
ITEMS_OF_LARGE = 16
"""Of a larger batch so many items are compared: first, last, and others evenly between; and those named."""


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one case showed; `untried` says why it could not be tried here, if so.

    `first` is what its first call did, but for the answer: hundreds of results are kept till the stage ends.
    `decisions` are those on loaded values, one after the other call; `thinned` counts the programs that ran,
    and all there are, of launches that were too slow to interpret for more.
    """

    case: Case
    finding: Finding | None = None
    untried: str = ""
    errors: Errors = Errors()
    vendor_ratio: float | None = None
    calls: int = 0
    first: protocol.Ran | None = None
    decisions: tuple[SeenDecision, ...] = ()
    thinned: tuple[int, int] = (0, 0)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a case, up to the first that breaks a law, and what is broken."""

    runs: list[Run]
    broken: Broken | None
    errors: Errors
    vendor_ratio: float | None


class CaseRunner:
    """Judges cases of one kernel, one after the other, each in the same worker while that is sound.

    The calls of a relation that is about the file itself are made by `user`.
    """

    def __init__(
        self,
        caller: Caller,
        limits: LawLimits,
        sampled: tuple[str, ...] = (),
        user: Caller | None = None,
        lane: Lane = WHOLE,
    ) -> None:
        self.caller, self.limits, self.sampled, self.lane = caller, limits, sampled, lane
        self.user = user or caller
        self.named_items: tuple[int, ...] = ()
        """Of a batch that is compared in part these items are, which the kernel may mean by its numbers."""

        self.covers_at = 0
        """The batch at which a sampled case asks what all programs write together."""

        self.operation = caller.sandbox.operation
        self.truths = (TruthsOnHost if caller.interprets else TruthsOnGpu)(self.operation)

    def expect(self, case: Case) -> None:
        """Take note that the case will be judged."""
        caller = self._caller_of(RELATIONS[case.relation])
        for call in self.calls_of(case):
            caller.expect(call)

    def calls_of(self, case: Case) -> list[Call]:
        """Return the calls that the case makes."""
        return RELATIONS[case.relation].calls(self.operation, self._plain_call(case))

    def run(self, case: Case) -> CaseResult:
        """Return what the case breaks, or how far it held."""
        relation = RELATIONS[case.relation]
        if relation.fresh_worker:
            self.user.close()
        try:
            with self.truths.at_work():
                return self._judge_calls(case, relation)
        except WorkerFault as fault:
            return self._faulted(case, fault)
        except UnplannedError as error:
            return self._unplanned(case, error)

    def close(self) -> None:
        """End the workers."""
        for each in dict.fromkeys((self.user, self.caller)):
            each.close()

    def _judge_calls(self, case: Case, relation: Relation) -> CaseResult:
        seen = self._make_calls(case, relation)
        if seen.broken is not None:
            return self._broken(case, seen.broken)
        return CaseResult(
            case=case,
            errors=seen.errors,
            vendor_ratio=seen.vendor_ratio,
            calls=len(seen.runs),
            first=seen.runs[0].ran,
            decisions=tuple(each for run in seen.runs for each in run.ran.decisions),
            thinned=count_thinned(seen.runs),
        )

    def replay(self, case: Case) -> Replayed:
        """Return the calls of a case made once more, in fresh workers; raises WorkerFault."""
        self.caller.close()
        self.user.close()
        return self._make_calls(case, RELATIONS[case.relation])

    def _make_calls(self, case: Case, relation: Relation) -> Replayed:
        runs: list[Run] = []
        errors, vendor_ratio = Errors(), None
        caller = self._caller_of(relation)
        for call in self.calls_of(case):
            runs.append(caller.run(call, partial(self.truths.begin, call)))
            broken, of_call, vendor = self._judge(runs[-1])
            errors = errors.worst(of_call)
            vendor_ratio = max(filter(None, (vendor_ratio, vendor)), default=None)
            if broken is not None:
                broken = attribute(broken, case, len(runs) - 1, self.operation.max_batch)
                break
        else:
            broken = next(relation.check(self.operation, runs), None)
        return Replayed(runs=runs, broken=broken, errors=errors, vendor_ratio=vendor_ratio)

    def _caller_of(self, relation: Relation) -> Caller:
        return self.user if relation.calls_file else self.caller

    def _plain_call(self, case: Case) -> Call:
        batch = case.batch
        items: tuple[int, ...] = ()
        large = batch > MAX_WHOLE_BATCH * self.operation.granule and self.operation.has_items
        if not self.caller.interprets and large:
            spread = {i * (batch - 1) // (ITEMS_OF_LARGE - 1) for i in range(ITEMS_OF_LARGE)}
            items = tuple(sorted(spread | {item for item in self.named_items if 0 <= item < batch}))
        return Call(
            recipe=recipe_of(self.operation, case),
            pin=case.pin,
            layout=case.layout,
            programs=case.programs,
            sampled=self.sampled if case.programs else (),
            items=items,
            covers=self._covers(case),
        )

    def _covers(self, case: Case) -> bool:
        is_plain = case.relation == NO_RELATION and case.layout == CONTIGUOUS
        return is_plain and bool(case.programs) and case.batch == self.covers_at

    def _broken(self, case: Case, broken: Broken) -> CaseResult:
        # What this worker remembers may be the fault: the next case must not inherit it.
        self.user.close()
        finding = Finding(case=case, law=broken.law, detail=broken.detail, forbidden=broken.forbidden)
        return CaseResult(case=case, finding=finding)

    def _faulted(self, case: Case, fault: WorkerFault) -> CaseResult:
        if fault.kind.reason.outcome is Outcome.INVALID:
            raise fault
        if fault.kind is FaultKind.UNTRIED:
            return CaseResult(case=case, untried=fault.detail)
        return self._failed(case, fault.kind.reason, fault.detail)

    def _unplanned(self, case: Case, error: UnplannedError) -> CaseResult:
        return self._failed(case, Reason.of(error.reason), str(error))

    def _failed(self, case: Case, reason: Reason, detail: str) -> CaseResult:
        error_allowed = RELATIONS[case.relation].error_allowed
        if reason is Reason.RAISES and error_allowed:
            return CaseResult(case=case, untried=f"{error_allowed}: {detail}")
        forbidden = reason.outcome is Outcome.FORBIDDEN
        finding = Finding(case=case, law=reason, detail=detail, forbidden=forbidden)
        return CaseResult(case=case, finding=finding)

    def _judge(self, run: Run) -> tuple[Broken | None, Errors, float | None]:
        broken, errors, vendor_ratio = self._judge_answer(run)
        return broken or next(conduct.check_as_planned(run), None), errors, vendor_ratio

    def _judge_answer(self, run: Run) -> tuple[Broken | None, Errors, float | None]:
        errors, vendor_ratio = Errors(), None
        if broken := next(self._check_conduct(run), None):
            return broken, errors, vendor_ratio
        family = family_of(self.operation, run.call.recipe)
        for answer, vendor in self.truths.answers(run):
            exact = family.exact and self.operation.keeps("exact")
            seen = look_at(answer, self.limits, vendor, exact=exact)
            errors = errors.worst(seen.errors)
            if seen.vendor is not None:
                vendor_ratio = max(vendor_ratio or 0.0, seen.vendor.error_ratio)
            if broken := next(self._check_values(answer, seen, vendor, family), None):
                break
        return broken, errors, vendor_ratio

    def _check_conduct(self, run: Run) -> Iterator[Broken]:
        yield from conduct.check_launched(run)
        yield from conduct.check_form(self.operation, run)
        yield from conduct.check_memory(run)
        yield from conduct.check_inputs_intact(run)
        yield from conduct.check_earlier_intact(run)
        yield from conduct.check_alone(run)
        yield from conduct.check_arrived(run)
        if self.caller.interprets:
            yield from conduct.check_all_written(self.operation, run)
            yield from conduct.check_covered(self.operation, run)
            yield from conduct.check_enough_programs(self.operation, run, self.limits)

    def _check_values(
        self, answer: Answer, seen: Sight, vendor: torch.Tensor | None, family: Family
    ) -> Iterator[Broken]:
        if family.special:
            yield from accuracy.check_special_values(answer)
        if seen.inexact:
            yield from accuracy.check_exact(answer)
        if not seen.errors.bound_fraction < 1:  # which elements: below, none is beyond
            yield from accuracy.check_bound(answer)
        yield from accuracy.check_error_ratio(seen.errors, self.limits)
        if vendor is not None and seen.apart:
            yield from accuracy.check_second_opinion(answer, vendor)
