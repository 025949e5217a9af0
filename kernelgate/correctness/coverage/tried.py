"""What was tried, in numbers: batches, values and their magnitudes, layouts, relations, configurations.

What no case tried, nobody saw: the table shows where the cases lie, and where none does.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.coverage.laws import LAWS
from kernelgate.correctness.result import Count, Magnitude, Thinned, Tried
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_items, make_parameters

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
"""Each range ends here: on a logarithmic axis they are of equal length."""

DECADES = (-30, -20, -10, -3, 3, 10, 20, 30)
"""Powers of ten at which one range of magnitudes ends and the next begins."""

SHARE = 0.001
"""A case has values of a magnitude if one in so many is."""


def describe_tried(outcomes: Sequence[CaseResult], operation: Operation) -> Tried:
    """Return what the cases tried that could be tried at all."""
    cases = [each.case for each in outcomes if not each.untried]
    return Tried(
        batches=_count_batches(cases, operation.max_batch),
        values=_count(cases, lambda case: f"near {case.near}" if case.near else case.family),
        magnitudes=_count_magnitudes(cases, operation),
        layouts=_count(cases, lambda case: case.layout),
        relations=_count(cases, lambda case: case.relation),
        configurations=_count(sorted(cases, key=lambda case: case.pin), lambda case: f"config {case.pin}"),
        gpu_only=tuple(law.name for law in LAWS if law.needs_gpu),
        thinned=_count_thinned(outcomes),
    )


def _count_thinned(outcomes: Sequence[CaseResult]) -> Thinned | None:
    thinned = [each.thinned for each in outcomes if each.thinned[1]]
    if not thinned:
        return None
    programs, of = map(sum, zip(*thinned, strict=True))
    return Thinned(cases=len(thinned), programs=programs, of=of)


def _count(cases: Iterable[Case], name_of: Callable[[Case], str]) -> tuple[Count, ...]:
    return tuple(Count(what=name, cases=number) for name, number in Counter(map(name_of, cases)).items())


def _count_batches(cases: Sequence[Case], largest: int) -> tuple[Count, ...]:
    ends = [*(end for end in BATCHES if end < largest), largest]
    firsts = [1, *(end + 1 for end in ends[:-1])]
    return tuple(
        Count(
            what=f"{first}-{last}" if first < last else f"{first}",
            cases=sum(first <= case.batch <= last for case in cases),
        )
        for first, last in zip(firsts, ends, strict=True)
    )


def _count_magnitudes(cases: Sequence[Case], operation: Operation) -> tuple[Magnitude, ...]:
    counted: dict[str, Counter[int]] = {role: Counter() for role in ("x", "weight")}
    roles = {each.name: each.role for each in operation.arguments}
    for (family, near), number in Counter((case.family, case.near) for case in cases).items():
        recipe = Recipe(family=family, seed=0, batch=1, near=near)
        tensors = make_items(operation, recipe, [0]) | make_parameters(operation, recipe)
        for role, counter in counted.items():
            found = {place for name in tensors if roles[name] == role for place in _ranges(tensors[name])}
            counter.update(dict.fromkeys(found, number))
    edges = [f"10^{power}" for power in DECADES]
    names = [
        f"below {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"{edges[-1]} and above",
    ]
    return tuple(
        Magnitude(size=name, x=counted["x"][place], weight=counted["weight"][place])
        for place, name in enumerate(names)
    )


def _ranges(values: Tensor) -> tuple[int, ...]:
    """Return the ranges of magnitudes in which more than a few of the values lie."""
    sizes = values[values.isfinite() & (values != 0)].abs().double()
    edges = torch.tensor([10.0**power for power in DECADES], dtype=torch.float64)
    counts = torch.bincount(torch.bucketize(sizes, edges, right=True), minlength=len(DECADES) + 1)
    return tuple(int(place) for place in torch.nonzero(counts > SHARE * max(1, values.numel())).flatten())
