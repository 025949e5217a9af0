"""Whether two launch plans of one file do the same, whatever number their buffers have.

A later call may leave out what makes something that the file has kept, as long as it would be made the same
again. It may leave out nothing that a changed input goes into, and it may do nothing else.
"""

from collections.abc import Iterator
from functools import cache, partial
from typing import NamedTuple

import msgspec

from kernelgate.execution.contents import (
    INPUTS,
    Touched,
    TouchedBy,
    find_touched,
    follow,
    name_contents,
    without_buffers,
)
from kernelgate.execution.launch_plan import Buffer, Copy, Fill, Launch, LaunchPlan, Pointer, Step, View
from kernelgate.execution.plan_files import StoredPlan


class Comparison(NamedTuple):
    """What another call of the same file does otherwise than the plain one, nothing if it does the same.

    `left_out` are the steps of the plain plan that it does without, since the file has kept their result.
    """

    difference: str
    left_out: tuple[int, ...] = ()


def compare_stored(plain: StoredPlan, other: StoredPlan) -> Comparison:
    """Return how another call of the same file differs from the plain one."""
    return compare(plain.plan, other.plan, partial(_touched_by, plain, other))


def compare(plain: LaunchPlan, other: LaunchPlan, touched_by: TouchedBy) -> Comparison:
    """Return how the plans differ; `touched_by` tells which arguments a launch reads and writes through."""
    pairing = _Pairing(plain, other)
    following = list(other.steps)
    left_out: list[int] = []
    for place, step in enumerate(plain.steps):
        if following and pairing.matches(step, following[0]):
            following.pop(0)
        else:
            left_out.append(place)
    if not following and not pairing.matches_view(plain.answer, other.answer):
        return Comparison("another answer is returned")
    if not following and _make_the_same(plain, other, touched_by):
        return Comparison("", tuple(left_out))
    if left_out:
        named = _name(plain, plain.steps[left_out[-1]])
        return Comparison(f"step {left_out[-1]} of {len(plain.steps)}, {named}, is left out or another")
    if following:
        more = f"{len(following)} more launches or moves of data"
        return Comparison(f"{more}, the first {_name(other, following[0])}")
    return Comparison("what an earlier call left in memory goes into the answer")


def _touched_by(first: StoredPlan, other: StoredPlan, launch: Launch) -> Touched:
    """Return what a launch of either plan reads and writes."""
    for stored in (first, other):
        for program in stored.plan.programs:
            if program.cubin == launch.program:
                return _find_touched(stored.read(program.ttir, "ttir"))
    raise KeyError(launch.program)


@cache
def _find_touched(ttir: bytes) -> Touched:
    return find_touched(ttir.decode(errors="replace"))


def _make_the_same(plain: LaunchPlan, other: LaunchPlan, touched_by: TouchedBy) -> bool:
    """Return whether both answers are made by the same steps of the same, given the other's inputs."""
    given = {buffer.role: buffer.holds for buffer in other.buffers if buffer.role in INPUTS}
    buffers = tuple(
        msgspec.structs.replace(buffer, holds=given[buffer.role]) if buffer.role in INPUTS else buffer
        for buffer in plain.buffers
    )
    likewise = msgspec.structs.replace(plain, buffers=buffers)
    return _answer_of(likewise, touched_by) == _answer_of(other, touched_by)


def _answer_of(plan: LaunchPlan, touched_by: TouchedBy) -> str:
    return name_contents(follow(plan.buffers, plan.steps, touched_by)[plan.answer.buffer])


class _Pairing:
    """Which buffer of one plan is which of the other, as far as the steps so far have shown."""

    def __init__(self, plain: LaunchPlan, other: LaunchPlan) -> None:
        self.plain, self.other = plain, other
        self.pairs: dict[int, int] = {}

    def matches(self, step: Step, candidate: Step) -> bool:
        """Return whether the steps are one; if so, their buffers are paired from here on."""
        pairs = dict(self.pairs)
        if without_buffers(step) == without_buffers(candidate):
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
        return _kind(self.plain.buffers[mine]) == _kind(self.other.buffers[others])


def _buffers_of(step: Step) -> Iterator[int]:
    if isinstance(step, Launch):
        yield from (each.buffer for each in step.arguments if isinstance(each, Pointer))
        return
    yield step.target.buffer
    if isinstance(step, Copy):
        yield step.source.buffer


def _nameless(view: View) -> View:
    return msgspec.structs.replace(view, buffer=0)


def _name(plan: LaunchPlan, step: Step) -> str:
    if isinstance(step, Launch):
        return f"launch of {plan.program_of(step).kernel} on {list(step.grid)}"
    return "a fill" if isinstance(step, Fill) else "a copy"


def _kind(buffer: Buffer) -> Buffer:
    """Return what a buffer is, whatever it holds."""
    return msgspec.structs.replace(buffer, holds=())
