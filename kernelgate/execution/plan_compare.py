"""Whether two launch plans of one file do the same, whatever number their buffers have.

A later call may leave out what makes something that the file has kept, as long as it would be made the same
again. It may leave out nothing that a changed input goes into, and it may do nothing else. It may work in
memory that it has kept, and that is larger: where all steps are the same, what was left in memory that is
fresh in a plain call, and written before it is read, does not matter: there it is poisoned, and laws hold.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from kernelgate.execution.contents import (
    Held,
    TouchedBy,
    follow,
    name_contents,
    without_buffers,
)
from kernelgate.execution.launch_plan import Buffer, Copy, Fill, Launch, LaunchPlan, Pointer, Step, View


class FollowedCall(NamedTuple):
    """A call of a file: its plan, and what each buffer of that holds before it."""

    plan: LaunchPlan
    holds: tuple[Held, ...]


class Comparison(NamedTuple):
    """What another call of the same file does otherwise than the plain one, nothing if it does the same.

    `left_out` are the steps of the plain call that it does without, since the file has kept their result.
    """

    difference: str
    left_out: tuple[int, ...] = ()


def compare(plain: FollowedCall, other: FollowedCall, touched_by: TouchedBy) -> Comparison:
    """Return how another call of the same file differs from the plain one.

    `touched_by` tells which arguments a launch of either reads and writes through.
    """
    first, later = plain.plan, other.plan
    pairing = _Pairing(first, later)
    following = list(later.steps)
    left_out: list[int] = []
    for place, step in enumerate(first.steps):
        if following and pairing.matches(step, following[0]):
            following.pop(0)
        else:
            left_out.append(place)
    if not following and not pairing.matches_view(first.answer, later.answer):
        return Comparison("another answer is returned")
    if not following:
        reused = () if left_out else pairing.fresh_in_the_plain_call(plain.holds, touched_by)
        holds = tuple(() if number in reused else held for number, held in enumerate(other.holds))
        if _make_the_same(plain, other._replace(holds=holds), touched_by):
            return Comparison("", tuple(left_out))
    if left_out:
        place = left_out[-1]
        named = _name(first, first.steps[place])
        return Comparison(f"step {place + 1} of {len(first.steps)}, {named}, is missing or different")
    if following:
        more = f"{len(following)} more launches or moves of data"
        return Comparison(f"{more}: first {_name(later, following[0])}")
    return Comparison("what an earlier call left in memory goes into the answer")


def _make_the_same(plain: FollowedCall, other: FollowedCall, touched_by: TouchedBy) -> bool:
    """Return whether both answers are made by the same steps of the same, given the other's inputs."""
    given = {buffer.role: held for buffer, held in zip(other.plan.buffers, other.holds, strict=True)}
    likewise = tuple(
        given[buffer.role] if buffer.is_given else held
        for buffer, held in zip(plain.plan.buffers, plain.holds, strict=True)
    )
    return _name_answer(plain.plan, likewise, touched_by) == _name_answer(other.plan, other.holds, touched_by)


def _name_answer(plan: LaunchPlan, begun: Sequence[Held], touched_by: TouchedBy) -> str:
    return name_contents(follow(plan.buffers, plan.steps, touched_by, begun)[plan.answer.buffer])


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
        one, other = self.plain.buffers[mine], self.other.buffers[others]
        return one == other or (one.bytes < other.bytes and _is_working_memory(one, other))

    def fresh_in_the_plain_call(self, holds: Sequence[Held], touched_by: TouchedBy) -> set[int]:
        """Return the other call's buffers for those that hold nothing when the plain call begins."""
        return {
            others
            for mine, others in self.pairs.items()
            if not holds[mine] and _is_written_first(self.plain, mine, touched_by)
        }


def _is_written_first(plan: LaunchPlan, number: int, touched_by: TouchedBy) -> bool:
    """Whether the first step that touches a temporary does not read it."""
    if plan.buffers[number].role != "temporary":
        return False
    for step in plan.steps:
        if isinstance(step, Launch):
            touched, given = touched_by(step), enumerate(step.arguments)
            places = {place for place, each in given if isinstance(each, Pointer) and each.buffer == number}
            if places & touched.read:
                return False
            if places & touched.written:
                return True
        elif number in _buffers_of(step):
            return not (isinstance(step, Copy) and step.source.buffer == number)
    return False


def _is_working_memory(one: Buffer, other: Buffer) -> bool:
    """Whether two buffers are alike but for their sizes, and neither is an input nor a constant."""
    return one.role == "temporary" and msgspec.structs.replace(one, bytes=other.bytes) == other


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
        return f"the launch of {plan.program_of(step).kernel} on {list(step.grid)}"
    if isinstance(step, Fill):
        return "a fill"
    source = plan.buffers[step.source.buffer]
    return f"the copy of {source.role}" if source.is_given else "a copy"
