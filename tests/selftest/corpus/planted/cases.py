"""Which planned cases a file of the corpus is tried on, and in which order.

What one planned case finds is found by the plan, whatever stands before it. So a fault is tried first on one
case of each kind: it does not wait for twenty value families that its law has nothing to do with.
"""

import itertools
from collections.abc import Callable

from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case

Planned = tuple[Case, ...]
Choose = Callable[[Planned], Planned]

SOON = ("autotuned", "new-contents", "no-bias", "two-models")
"""Relations that many planted faults are found by; the others follow."""


def as_planned(planned: Planned) -> Planned:
    """Return the plan as it is."""
    return planned


def kinds_in_turn(planned: Planned) -> Planned:
    """Return all of the plan: kinds of cases in turn, and what runs several images whole at the end."""
    kinds: dict[str, list[Case]] = {}
    for case in sorted(planned, key=_soon):
        kinds.setdefault(_kind(case), []).append(case)
    turns = itertools.zip_longest(*kinds.values())
    in_turn = [case for turn in turns for case in turn if case is not None]
    return tuple(sorted(in_turn, key=lambda case: not case.programs and case.batch > 1))


def one_in(share: int, number: int) -> Choose:
    """Return what takes one case in so many; files of different numbers take different ones."""

    def choose(planned: Planned) -> Planned:
        return planned[number % share :: share]

    return choose


def _kind(case: Case) -> str:
    if case.layout != CONTIGUOUS:
        return "layout"
    if case.relation != NO_RELATION:
        return "relation"
    return "batch" if case.family == "normal" else "family"


def _soon(case: Case) -> tuple[int, int]:
    """Return what sorts relations as listed, and batches from the end of the domain down."""
    if _kind(case) == "relation":
        return (SOON.index(case.relation) if case.relation in SOON else len(SOON)), 0
    return 0, -case.batch if _kind(case) == "batch" else 0
