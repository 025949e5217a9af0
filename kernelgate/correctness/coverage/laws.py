"""What each law saw in a run, one line each: a report says what was tried, not only that nothing failed."""

from collections.abc import Callable, Sequence

import msgspec

from kernelgate.correctness.case import CONTIGUOUS, Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.coverage.both_sides import LAW
from kernelgate.correctness.relation import Relation
from kernelgate.correctness.relations import LAWS_OF_VALUES, PLAIN, RELATIONS, relations_of
from kernelgate.correctness.result import Finding, LawLine
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.near_values import parse_near
from kernelgate.operations.draws.values import make_family

IN_PLANS = "the compile stage looked for it in launch plans"
CONDUCT = ("form", "runs", "delegation", "memory", "inputs-intact")
"""The laws that a call must have obeyed before its values are looked at."""

Applies = Callable[[Case], bool]


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """A law, the cases that try it, and whether only the largest batch can, or only a GPU.

    Without one `in_plans` laws are looked for by the compile stage, which compares launch plans. A law of the
    direct algorithm says `by_any` where any other is allowed too; without that it is not asked there.
    """

    name: str
    says: str
    applies: Applies
    needs_gpu: bool = False
    in_plans: bool = False
    at_largest: bool = False
    by_any: str = ""
    dropped: bool = False

    def is_tried_by(self, case: Case, largest: int) -> bool:
        """Whether the case tries the law, in a domain that ends at this batch."""
        return self.applies(case) and (not self.at_largest or case.batch == largest)


def _always(_case: Case) -> bool:
    return True


def _is_exact(case: Case) -> bool:
    return not case.near and make_family(case.family, 1).exact


def _is_special(case: Case) -> bool:
    return parse_near(case.near).is_nan if case.near else make_family(case.family, 1).special


def _law_of(relation: Relation) -> Law:
    return Law(
        name=relation.name,
        says=relation.says,
        applies=lambda case: case.relation == relation.name,
        needs_gpu=relation.calls_file,
        in_plans=relation.calls_file,
    )


LAWS = (
    Law(
        name="form",
        says="a contiguous tensor of the right type and shape, on the input's device",
        applies=_always,
    ),
    Law(
        name="runs",
        says="an answer in time, no error, crash or flood of output, within its memory",
        applies=_always,
    ),
    Law(name="delegation", says="launches of this call computed the answer, nothing else", applies=_always),
    Law(name="memory", says="no access outside the tensors, no race between programs", applies=_always),
    Law(name="inputs-intact", says="inputs and parameters unchanged, bit for bit", applies=_always),
    Law(name="all-written", says="every output element is written", applies=lambda case: not case.programs),
    Law(
        name="hard-bound",
        says="each element within the declared math's worst case of float64",
        applies=_always,
        by_any="each element within a fast algorithm's worst case of float64",
    ),
    Law(name="error-ratio", says="rms error at most 4 times the declared math's own", applies=_always),
    Law(
        name="exact",
        says="exact where sums are exact",
        applies=lambda case: not case.near and make_family(case.family, 1).exact,
    ),
    Law(
        name="special-values",
        says="NaN and infinities where float64 has them",
        applies=_is_special,
        by_any="not finite where float64 is not, nor elsewhere but near",
    ),
    Law(
        name="second-opinion",
        says="within both bounds of the vendor's answer",
        applies=_always,
        needs_gpu=True,
    ),
    Law(
        name="calls-differ",
        says="the file's own answers are those of its launches",
        applies=lambda case: RELATIONS[case.relation].calls_file,
        needs_gpu=True,
        in_plans=True,
    ),
    *(_law_of(relation) for relation in RELATIONS.values() if relation is not PLAIN),
    Law(
        name="earlier-answers",
        says="a call leaves earlier answers alone",
        applies=lambda case: RELATIONS[case.relation].calls_file,
        needs_gpu=True,
        in_plans=True,
    ),
    Law(
        name="layout",
        says="right for any strides of its inputs",
        applies=lambda case: case.layout != CONTIGUOUS,
    ),
    Law(name=LAW, says="what is decided by loaded values goes both ways", applies=_always),
    Law(name="domain", says="right up to the largest batch", applies=_always, at_largest=True),
)


def describe_laws(
    outcomes: Sequence[CaseResult],
    where: str,
    operation: Operation,
    one_sided: Finding | None = None,
    *,
    by_book: bool = False,
) -> tuple[LawLine, ...]:
    """Return one line for each law over these outcomes of the operation.

    `one_sided` is what all of them together lack: a side of a decision. `by_book` says that launch plans were
    those of a plan book, and the file was not called.
    """
    here = _missing(where == "GPU", by_book)
    asked = set(relations_of(operation))
    return tuple(
        _describe_decisions(law, outcomes, one_sided)
        if law.name == LAW and one_sided is not None
        else _describe(law, outcomes, operation.max_batch, here(law))
        for law in (_as_asked(law, operation) for law in LAWS)
        if law.name in asked or law.name not in RELATIONS
    )


def _as_asked(law: Law, operation: Operation) -> Law:
    if operation.keeps(law.name):
        return law
    return msgspec.structs.replace(law, says=law.by_any or law.says, dropped=not law.by_any)


def _missing(on_gpu: bool, by_book: bool) -> Callable[[Law], str]:
    """Return what says why a law cannot be tried here, empty where it can."""

    def why(law: Law) -> str:
        if law.dropped:
            return "holds for the direct algorithm only; hard-bound stands in its place"
        if law.in_plans and by_book:
            return f"needs the file called, which a plan book spares; {IN_PLANS}"
        if law.needs_gpu and not on_gpu:
            return f"needs a GPU; {IN_PLANS}" if law.in_plans else "needs a GPU"
        return ""

    return why


def _describe_decisions(law: Law, outcomes: Sequence[CaseResult], one_sided: Finding) -> LawLine:
    cases = sum(bool(each.decisions) for each in outcomes)
    return LawLine(law=law.name, says=law.says, status="broken", cases=cases, note=one_sided.detail)


def law_of(finding_law: str) -> str:
    """Return the law that a finding belongs to: how a worker failed is all one law."""
    return finding_law if any(law.name == finding_law for law in LAWS) else "runs"


def _held_before(law: Law, finding: Finding) -> bool:
    """Whether a call whose values are wrong had obeyed the law: conduct is looked at first."""
    return law.name in CONDUCT and finding.law in LAWS_OF_VALUES


def _breaks(law: Law, outcome: CaseResult) -> bool:
    return outcome.finding is not None and law_of(outcome.finding.law) == law.name


def _describe(law: Law, outcomes: Sequence[CaseResult], largest: int, missing: str) -> LawLine:
    broken = [each for each in outcomes if _breaks(law, each)]
    meant = [each for each in outcomes if law.is_tried_by(each.case, largest)]
    tried = [each for each in outcomes if (each in meant and not each.untried) or _breaks(law, each)]
    if missing:
        return LawLine(law=law.name, says=law.says, status="not tried", cases=0, note=missing)
    if broken:
        finding = broken[0].finding
        assert finding is not None
        note = f"{finding.detail} Replay: --replay {finding.case.replay}"
        return LawLine(law=law.name, says=law.says, status="broken", cases=len(tried), note=note)
    held = sum(not each.finding or _held_before(law, each.finding) for each in tried)
    if held:
        return LawLine(law=law.name, says=law.says, status="held", cases=held)
    note = _why_untried(meant, outcomes)
    return LawLine(law=law.name, says=law.says, status="not tried", cases=0, note=note)


def _why_untried(meant: Sequence[CaseResult], outcomes: Sequence[CaseResult]) -> str:
    """Return why no case tried a law; the `meant` ones would have."""
    a_law_was_broken = any(each.finding for each in outcomes)
    without_case = "a law before it was broken" if a_law_was_broken else "no case for it here"
    return next((each.untried for each in meant if each.untried), without_case)
