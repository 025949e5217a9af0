"""Two calls of one file do the same, or the first thing that they do otherwise is named."""

from collections.abc import Sequence

import msgspec
import pytest

from kernelgate.execution.contents import Held, Touched, follow, hold_all
from kernelgate.execution.launch_plan import Copy, Launch, LaunchPlan, Pointer, Scalar, Step, View
from kernelgate.execution.plan_compare import FollowedCall, compare
from tests.selftest.support.made_up_plans import (
    COMPUTE,
    FILL_PACKED,
    FILL_PADDED,
    OUT,
    PACK,
    PACKED,
    PAD,
    PADDED,
    TABLE,
    WEIGHT,
    X,
    make_launch,
    make_plan,
    with_buffer,
    with_step,
    without_steps,
)

PLAN = make_plan()


def renumbered(plan: LaunchPlan, order: tuple[int, ...]) -> LaunchPlan:
    """Return the plan with its buffers in another order."""
    new = {old: place for place, old in enumerate(order)}

    def view(each: View) -> View:
        return msgspec.structs.replace(each, buffer=new[each.buffer])

    def step(each: Step) -> Step:
        if isinstance(each, Launch):
            arguments = tuple(
                msgspec.structs.replace(a, buffer=new[a.buffer]) if isinstance(a, Pointer) else a
                for a in each.arguments
            )
            return msgspec.structs.replace(each, arguments=arguments)
        if isinstance(each, Copy):
            return msgspec.structs.replace(each, target=view(each.target), source=view(each.source))
        return msgspec.structs.replace(each, target=view(each.target))

    return msgspec.structs.replace(
        plan,
        buffers=tuple(plan.buffers[old] for old in order),
        steps=tuple(step(each) for each in plan.steps),
        answer=view(plan.answer),
    )


def launch_of(plan: LaunchPlan) -> Launch:
    """Return the launch that computes the answer."""
    launch = plan.steps[COMPUTE]
    assert isinstance(launch, Launch)
    return launch


def with_arguments(*changed: tuple[int, Pointer | Scalar]) -> LaunchPlan:
    """Return the plan whose launch has other arguments at some places."""
    arguments = list(launch_of(PLAN).arguments)
    for place, argument in changed:
        arguments[place] = argument
    return with_step(PLAN, COMPUTE, arguments=tuple(arguments))


def touched_by(launch: Launch) -> Touched:
    """Return what `compute` reads and writes: it writes the last of its five buffers."""
    places = range(len([each for each in launch.arguments if isinstance(each, Pointer)]))
    return Touched(read=frozenset(places[:-1]), written=frozenset(places[-1:]))


NOTHING: Held = ()
BEGUN = (*(hold_all(f"given {number}") for number in range(3)), *[NOTHING] * 4)


def difference(plain: LaunchPlan | FollowedCall, other: LaunchPlan | FollowedCall) -> str:
    both = (FollowedCall(each, BEGUN) if isinstance(each, LaunchPlan) else each for each in (plain, other))
    return compare(*both, touched_by).difference


def after(*calls: LaunchPlan, changed: tuple[int, ...] = (X,)) -> FollowedCall:
    """Return the last of some calls that were made one after the other in the same memory.

    The `changed` inputs hold something else in the last one than before.
    """
    held: Sequence[Held] = BEGUN
    for call in calls[:-1]:
        held = follow(call.buffers, call.steps, touched_by, held)
    last = (hold_all(f"new {number}") if number in changed else each for number, each in enumerate(held))
    return FollowedCall(calls[-1], tuple(last))


def reordered(call: FollowedCall, order: tuple[int, ...]) -> FollowedCall:
    return FollowedCall(renumbered(call.plan, order), tuple(call.holds[old] for old in order))


FIRST = after(PLAN)
KEPT = without_steps(PLAN, FILL_PACKED, PACK)
REFILLED = without_steps(PLAN, FILL_PACKED, PACK, FILL_PADDED)
SAME: dict[str, FollowedCall] = {
    "itself": FIRST,
    "again": after(PLAN, PLAN),
    "buffers-renumbered": reordered(FIRST, (TABLE, OUT, 2, X, PADDED, 1, PACKED)),
    "preparation-left-out": after(PLAN, KEPT),
    "preparation-left-out-for-long": after(PLAN, KEPT, KEPT, KEPT),
    "preparation-left-out-and-renumbered": reordered(
        after(PLAN, KEPT), (1, 2, X, OUT, PADDED, TABLE, PACKED)
    ),
    "half-of-the-preparation-left-out": after(PLAN, without_steps(PLAN, FILL_PACKED)),
    "border-of-an-earlier-call": after(PLAN, REFILLED),
    "preparation-made-anew-for-another-weight": after(PLAN, PLAN, changed=(X, WEIGHT)),
}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME.keys())
def test_what_does_the_same_has_no_difference(other: FollowedCall) -> None:
    """Buffers are known by what is done with them; what parameters alone go into may be kept."""
    assert difference(FIRST, other) == ""


other_view = msgspec.structs.replace(PLAN.answer, offset=1)
DIFFERENT: dict[str, tuple[LaunchPlan | FollowedCall, str]] = {
    "copy-of-x-left-out": (
        after(PLAN, without_steps(PLAN, PAD)),
        "step 4 of 5, the copy of x, is missing or different",
    ),
    "launch-on-x-left-out": (
        after(PLAN, without_steps(PLAN, COMPUTE)),
        "step 5 of 5, the launch of compute on",
    ),
    "everything-left-out": (after(PLAN, make_plan(steps=())), "step 5 of 5, the launch of compute"),
    "preparation-kept-of-nothing": (after(KEPT), "step 2 of 5, the copy of weight, is missing or different"),
    "preparation-kept-of-another-weight": (
        after(PLAN, KEPT, changed=(X, WEIGHT)),
        "step 2 of 5, the copy of weight, is missing or different",
    ),
    "another-grid": (with_step(PLAN, COMPUTE, grid=(1, 1, 1)), "step 5 of 5, the launch of compute"),
    "another-program": (with_step(PLAN, COMPUTE, program="e" * 64), "step 5 of 5, the launch of compute"),
    "another-number": (with_arguments((5, Scalar(kind="i32", bits=1))), "step 5 of 5"),
    "another-offset": (with_arguments((0, Pointer(buffer=PADDED, offset=4))), "step 5 of 5"),
    "another-role": (with_arguments((2, Pointer(buffer=1))), "step 5 of 5"),
    "arguments-exchanged": (
        with_arguments((1, Pointer(buffer=PADDED)), (0, Pointer(buffer=PACKED))),
        "step 5 of 5",
    ),
    "another-table": (with_buffer(PLAN, TABLE, content="d" * 64), "step 5 of 5"),
    "one-launch-more": (
        make_plan(steps=(*PLAN.steps, make_launch(Pointer(buffer=OUT)))),
        "1 more launches or moves of data: first the launch of compute on [24200, 2, 1]",
    ),
    "one-fill-more": (
        make_plan(steps=(*PLAN.steps[:COMPUTE], PLAN.steps[FILL_PADDED], PLAN.steps[COMPUTE])),
        "step 5 of 5",
    ),
    "another-order": (
        make_plan(steps=(*PLAN.steps[:FILL_PADDED], *reversed(PLAN.steps[FILL_PADDED:]))),
        "step 4 of 5",
    ),
    "another-answer": (
        make_plan(answer=msgspec.structs.replace(PLAN.answer, buffer=PADDED)),
        "another answer is returned",
    ),
    "another-part-as-the-answer": (make_plan(answer=other_view), "another answer is returned"),
}


@pytest.mark.parametrize(("other", "says"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_a_difference_is_named(other: LaunchPlan | FollowedCall, says: str) -> None:
    """By the step of the plain call that has none in the other, or by what the other does besides."""
    assert says in difference(FIRST, other)


def test_what_an_earlier_call_left_in_memory_may_not_go_into_the_answer() -> None:
    """A launch that adds to what it finds does the same steps each time, on other contents."""

    def adds(launch: Launch) -> Touched:
        return Touched(read=frozenset(range(5)), written=touched_by(launch).written)

    again = FollowedCall(PLAN, tuple(follow(PLAN.buffers, PLAN.steps, adds, BEGUN)))
    assert compare(FIRST, FIRST, adds).difference == ""
    said = compare(FIRST, again, adds).difference
    assert said == "what an earlier call left in memory goes into the answer"


def test_two_buffers_of_one_call_are_not_one_of_the_other() -> None:
    """A call that computes twice into one buffer does not do what one does that keeps both results."""
    halves = [make_launch(Pointer(buffer=X), Pointer(buffer=buffer)) for buffer in (3, 4)]
    joined = make_launch(*(Pointer(buffer=buffer) for buffer in (3, 4, OUT)))
    both = with_buffer(make_plan(steps=(*halves, joined)), 4, bytes=PLAN.buffers[3].bytes)
    overwritten = make_launch(*(Pointer(buffer=buffer) for buffer in (3, 3, OUT)))
    one = msgspec.structs.replace(both, steps=(halves[0], halves[0], overwritten))
    assert difference(both, both) == difference(one, one) == ""
    assert difference(both, one)
    assert difference(one, both)


def test_working_memory_may_be_larger_and_hold_what_an_earlier_call_left() -> None:
    """A file that keeps it for the largest batch so far writes what it reads, and all steps are the same."""
    larger = with_buffer(PLAN, PADDED, bytes=2 * PLAN.buffers[PADDED].bytes)
    held = tuple(hold_all("left") if number == PADDED else each for number, each in enumerate(BEGUN))
    assert compare(FIRST, FollowedCall(larger, held), touched_by).difference == ""


def test_working_memory_may_not_be_smaller() -> None:
    """What was written where it ends is lost."""
    smaller = with_buffer(PLAN, PADDED, bytes=PLAN.buffers[PADDED].bytes // 2)
    assert "missing or different" in compare(FIRST, FollowedCall(smaller, BEGUN), touched_by).difference
