"""Batches at which a file does something that it does at none of those tried: its launch plans tell.

A plan is recorded in hundredths of a second, a hundred times as fast as a case is run. So many batches are
recorded, and one is tried of each kind of plan: a host that asks for `N % 29` cannot hide by being rare.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kernelgate.compilation.recording import Recorded
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.correctness.planning.plan import CasePlan
from kernelgate.execution.launch_plan import Copy, Fill, Launch, LaunchPlan, Pointer, Scalar

MAX_FOUND = 8
CPU_SECONDS = 8.0
"""No more plans are recorded once they took so long. Waiting does not count: no verdict hangs on the load."""

WALL_SECONDS = 60.0
"""Nor after this time, in which a file may as well sleep."""

AT_ONCE = 8
SWITCH = 4
"""An argument of at most so many values over all batches is a switch, no size."""

Kind = tuple[object, ...]


def scout(planner: Planner, case_runner: CaseRunner, plan: CasePlan) -> tuple[Case, ...]:
    """Return one of a plan's scouted cases for each kind of launch plan that no planned case has.

    It is bounded in time: where PyTorch moves data, a plan of a large batch may take a second.
    """
    pins, took = {case.pin for case in plan.scouted}, 0.0
    plain = [case for case in plan.planned if _is_plain(case) and case.pin in pins]
    recorded = dict(_record(planner, case_runner, plain))
    ends = time.monotonic() + WALL_SECONDS
    for few in _few(plan.scouted, AT_ONCE):
        if took < CPU_SECONDS and time.monotonic() < ends:
            fresh = dict(_record(planner, case_runner, few))
            recorded, took = recorded | fresh, took + sum(each.cpu_s for each in fresh.values())
    kinds = _kinds(recorded)
    seen = {kinds[case] for case in plain if case in kinds}
    chosen: dict[Kind, Case] = {}
    for case in plan.scouted:
        if case in kinds and kinds[case] not in seen:
            chosen.setdefault(kinds[case], case)
    return tuple(chosen.values())[:MAX_FOUND]


def _few(cases: Sequence[Case], size: int) -> Iterator[Sequence[Case]]:
    """Yield the cases, so many at a time."""
    yield from (cases[first : first + size] for first in range(0, len(cases), size))


def _is_plain(case: Case) -> bool:
    return case.relation == NO_RELATION and case.layout == CONTIGUOUS and not case.near


def _record(
    planner: Planner, case_runner: CaseRunner, cases: Sequence[Case]
) -> Iterator[tuple[Case, Recorded]]:
    """Yield what is recorded of each case's one call, where it is known."""
    calls = [(case, case_runner.calls_of(case)[0]) for case in cases]
    waiting = [(case, planner.expect(call)) for case, call in calls if planner.has(call)]
    yield from ((case, each.result()) for case, each in waiting)


def _kinds(recorded: dict[Case, Recorded]) -> dict[Case, Kind]:
    """Return the kind of each plan; of a call that has none, why."""
    plans = {case: each.stored.plan for case, each in recorded.items() if each.stored is not None}
    switches = _find_switches(plans.values())
    kinds = {case: _kind_of(plan, switches) for case, plan in plans.items()}
    return kinds | {case: (each.broken[0],) for case, each in recorded.items() if each.broken is not None}


def _kind_of(plan: LaunchPlan, switches: set[tuple[str, int]]) -> Kind:
    """Return the different steps of a plan in their order, without its sizes."""
    return tuple(dict.fromkeys(_steps(plan, switches)))


def _steps(plan: LaunchPlan, switches: set[tuple[str, int]]) -> Iterator[Kind]:
    def role(number: int) -> str:
        return "answer" if number == plan.answer.buffer else plan.buffers[number].role

    for step in plan.steps:
        if isinstance(step, Launch):
            given = [
                role(each.buffer)
                if isinstance(each, Pointer)
                else each.bits
                if isinstance(each, Scalar) and (step.program, place) in switches
                else None
                for place, each in enumerate(step.arguments)
            ]
            yield (step.program, *given)
        elif isinstance(step, Copy):
            yield ("copy", role(step.target.buffer), role(step.source.buffer))
        elif isinstance(step, Fill):
            yield ("fill", role(step.target.buffer))


def _find_switches(plans: Iterable[LaunchPlan]) -> set[tuple[str, int]]:
    """Return program and place of each argument that has a few values, in many plans."""
    values: dict[tuple[str, int], list[int]] = defaultdict(list)
    for plan in plans:
        for launch in plan.launches:
            for place, each in enumerate(launch.arguments):
                if isinstance(each, Scalar):
                    values[launch.program, place].append(each.bits)
    return {key for key, seen in values.items() if len(set(seen)) <= SWITCH < len(seen) // 2}
