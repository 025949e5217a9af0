"""Whether two launch plans of one file do the same, whatever number their buffers have.

A later call may leave out what prepares parameters, if the file has kept the result. It may leave out nothing
that x goes into.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kernelgate.execution.launch_plan import Copy, Fill, Launch, LaunchPlan, Pointer, Step, View


class Comparison(NamedTuple):
    """What another call of the same file does otherwise than the plain one, nothing if it does the same.

    `left_out` are the steps of the plain plan that it does without: they prepare parameters, and are kept.
    """

    difference: str
    left_out: tuple[int, ...] = ()


def compare(plain: LaunchPlan, other: LaunchPlan) -> Comparison:
    """Return how another call of the same file differs from the plain one."""
    pairing = _Pairing(plain, other)
    from_x = {place for place, buffer in enumerate(plain.buffers) if buffer.role == "x"}
    following, left_out = list(other.steps), []
    for place, step in enumerate(plain.steps):
        used = set(_buffers_of(step))
        if following and pairing.matches(step, following[0]):
            following.pop(0)
        elif used & from_x:
            return Comparison(
                f"step {place} of {len(plain.steps)}, {_name(plain, step)}, is left out or another"
            )
        else:
            left_out.append(place)
        if used & from_x:
            from_x |= {each for each in used if plain.buffers[each].role == "temporary"}
    if following:
        more = f"{len(following)} more launches or moves of data"
        return Comparison(f"{more}, the first {_name(other, following[0])}")
    if not pairing.matches_view(plain.answer, other.answer):
        return Comparison("another answer is returned")
    return Comparison("", tuple(left_out))


class _Pairing:
    """Which buffer of one plan is which of the other, as far as the steps so far have shown."""

    def __init__(self, plain: LaunchPlan, other: LaunchPlan) -> None:
        self.plain, self.other = plain, other
        self.pairs: dict[int, int] = {}

    def matches(self, step: Step, candidate: Step) -> bool:
        """Return whether the steps are one; if so, their buffers are paired from here on."""
        pairs = dict(self.pairs)
        if _without_buffers(step) == _without_buffers(candidate):
            both = zip(_buffers_of(step), _buffers_of(candidate), strict=True)
            if all(self._pair(mine, others) for mine, others in both):
                return True
        self.pairs = pairs
        return False

    def matches_view(self, view: View, candidate: View) -> bool:
        """Return whether the views are of paired buffers and show the same of them."""
        return self._pair(view.buffer, candidate.buffer) and _nameless(view) == _nameless(candidate)

    def _pair(self, mine: int, others: int) -> bool:
        if self.pairs.get(mine, others) != others:
            return False
        if mine not in self.pairs and others in self.pairs.values():
            return False  # one buffer there is two here: the second result would overwrite the first
        self.pairs[mine] = others
        return self.plain.buffers[mine] == self.other.buffers[others]


def _buffers_of(step: Step) -> Iterator[int]:
    if isinstance(step, Launch):
        yield from (each.buffer for each in step.arguments if isinstance(each, Pointer))
        return
    yield step.target.buffer
    if isinstance(step, Copy):
        yield step.source.buffer


def _without_buffers(step: Step) -> Any:
    if isinstance(step, Launch):
        nameless = tuple(
            msgspec.structs.replace(each, buffer=0) if isinstance(each, Pointer) else each
            for each in step.arguments
        )
        return msgspec.structs.replace(step, arguments=nameless)
    if isinstance(step, Copy):
        return msgspec.structs.replace(step, target=_nameless(step.target), source=_nameless(step.source))
    return msgspec.structs.replace(step, target=_nameless(step.target))


def _nameless(view: View) -> View:
    return msgspec.structs.replace(view, buffer=0)


def _name(plan: LaunchPlan, step: Step) -> str:
    if isinstance(step, Launch):
        return f"launch of {plan.program_of(step).kernel} on {list(step.grid)}"
    return "a fill" if isinstance(step, Fill) else "a copy"
