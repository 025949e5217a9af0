"""Two recorded calls of one kernel file held against each other."""

from functools import cache, partial

from kernelgate.compilation.recording import Recorded
from kernelgate.execution.contents import Touched, find_touched
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.plan_compare import Comparison, FollowedCall, compare
from kernelgate.execution.plan_files import StoredPlan


def compare_calls(plain: Recorded, other: Recorded) -> Comparison:
    """Return how another call differs from the plain one; both have a plan."""
    first, second = plain.stored, other.stored
    assert first is not None
    assert second is not None
    touched_by = partial(_touched_by, first, second)
    return compare(FollowedCall(first.plan, plain.held), FollowedCall(second.plan, other.held), touched_by)


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
