"""Every decision on loaded values must have gone both ways: what a side does that no case took, nobody saw.

A kernel that is wrong where a pixel is above 1000 is right on all ordinary pictures. Its decision is in its
text; values near the number that it compares with are tried, and if still but one side was taken, it is
refused with its line.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, product

import msgspec

from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.result import Finding
from kernelgate.execution.observed.decisions import SeenDecision
from kernelgate.operations.declaration.error_model import Multilinear
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.near_values import KINDS, can_be_drawn, parse_near

LAW = "both-sides"
MAX_NEAR_CASES = 16

_SAYS = {
    "compares": ("compares", "it was never true", "it was never false"),
    "chooses": (
        "takes the larger or smaller of",
        "the second was never the larger",
        "the second was never the smaller",
    ),
    "clamps": ("clamps", "a bound was never passed", "all were always beyond it"),
    "sign": ("takes the magnitude of", "none was ever negative", "none was ever positive"),
    "rounds": ("rounds", "none was ever changed by it", "all were changed by it"),
    "converts": ("converts to integers", "none was ever in range", "all were in range"),
    "divides": ("divides by", "none was ever zero or infinite", "all were zero or infinite"),
    "saturates": ("takes a function of", "it was never 0, 1 or infinite", "it was never anything else"),
    "bits": ("cuts bits out of", "bits {0:#x} were never 1", "bits {0:#x} were never 0"),
}
"""What a decision does, and what is said where it never went the one way or the other."""


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One decision over all cases: what was seen of it, and the first case that came to it in each `pin`."""

    seen: SeenDecision
    cases: tuple[Case, ...]

    @property
    def missing(self) -> tuple[int, int]:
        """The bits of its outcome that were never 1, and those that were never 0."""
        return self.seen.wanted & ~self.seen.ones, self.seen.wanted & ~self.seen.zeros

    @property
    def was_met(self) -> bool:
        """Whether any program came to it: what stands behind an argument that is off decides nothing."""
        return bool(self.seen.ones or self.seen.zeros)


def gather(outcomes: Iterable[CaseResult]) -> list[Decided]:
    """Return each decision once, in whatever configuration or specialisation it was met: by its place."""
    found: dict[tuple[object, ...], Decided] = {}
    for outcome in outcomes:
        for seen in outcome.decisions:
            key = (seen.kernel, seen.place, seen.kind, seen.operation)
            before = found.get(key)
            found[key] = (
                Decided(seen=seen, cases=(outcome.case,))
                if before is None
                else Decided(seen=merge(before.seen, seen), cases=_with(before.cases, outcome.case))
            )
    return list(found.values())


def merge(one: SeenDecision, other: SeenDecision) -> SeenDecision:
    """Return what was seen of a decision in two calls."""
    return msgspec.structs.replace(
        one,
        inputs=tuple(dict.fromkeys((*one.inputs, *other.inputs))),
        wanted=one.wanted | other.wanted,
        ones=one.ones | other.ones,
        zeros=one.zeros | other.zeros,
        thresholds=tuple(sorted({*one.thresholds, *other.thresholds})),
    )


def near_cases(operation: Operation, decided: Sequence[Decided], seed: int) -> tuple[Case, ...]:
    """Return cases with values on both sides of each number at which the kernel decides, and at it.

    In each configuration that comes to the decision, the first number in all of them before the second.
    """
    wanted: dict[tuple[str, int], None] = {}
    for each in decided:
        known = [parse_near(_by_role(operation, threshold)) for threshold in each.seen.thresholds]
        drawable = [str(side) for near in known if can_be_drawn(near) for side in near.sides()]
        wanted |= dict.fromkeys(product(drawable, sorted({case.pin for case in each.cases})))
    seeds, batch = count(seed), min(KINDS, operation.max_batch)
    return tuple(
        Case(batch=batch, family="normal", seed=next(seeds), pin=pin, near=near)
        for near, pin in list(wanted)[:MAX_NEAR_CASES]
        for _ in range(-(-KINDS // batch))  # items count the kinds; of few items the seeds do
    )


def _by_role(operation: Operation, threshold: str) -> str:
    """Return a threshold with the role of its tensor in the place of the name."""
    name, _, bits = threshold.partition(":")
    role = next((each.role for each in operation.arguments if each.name == name), name)
    return f"{role}:{bits}"


OF_FUNCTIONS = frozenset({"divides", "saturates"})
"""What an operation that divides, or takes roots, does itself: its divisor need never be zero."""


def asked_of(operation: Operation, decided: Sequence[Decided]) -> list[Decided]:
    """Return the decisions that must go both ways: of a sum of products, also divisions and functions."""
    if isinstance(operation.error_model, Multilinear):
        return list(decided)
    return [each for each in decided if each.seen.kind not in OF_FUNCTIONS]


def one_sided(decided: Sequence[Decided], cases: int) -> Finding | None:
    """Return the finding of the first decision that went but one way in so many cases, if there is one."""
    lacking = [each for each in decided if each.was_met and any(each.missing)]
    if not lacking:
        return None
    first = min(lacking, key=lambda each: (each.seen.line, each.seen.operation))
    more = f"; {len(lacking) - 1} more decisions likewise" if len(lacking) > 1 else ""
    return Finding(
        case=first.cases[0],
        law=LAW,
        detail=_describe(first, cases) + more,
        forbidden=True,
        alone=False,
    )


def _describe(decided: Decided, cases: int) -> str:
    seen = decided.seen
    does, never_one, never_zero = _SAYS[seen.kind]
    place = f"line {seen.line}" if seen.line else seen.kernel
    told = zip(decided.missing, (never_one, never_zero), strict=True)
    never = [says.format(bits) for bits, says in told if bits]
    of = " and ".join(seen.inputs)
    return (
        f"{place}: `{seen.operation}` {does} values made of {of}; in all {cases} cases {', '.join(never)}: "
        "what the kernel does otherwise was never seen"
    )


def _with(cases: tuple[Case, ...], case: Case) -> tuple[Case, ...]:
    return cases if any(each.pin == case.pin for each in cases) else (*cases, case)


def family_cases(pin: int, families: Sequence[str], seed: int) -> Iterator[Case]:
    """Yield one item of each family, for the interpreter: a GPU does not tell what was decided."""
    seeds = count(seed)
    yield from (Case(batch=1, family=family, seed=next(seeds), pin=pin) for family in families)
