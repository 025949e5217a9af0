"""All cases of one kernel: each is judged once, drawn ones end in the simplest failure, all are counted."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import pytest
from hypothesis.database import InMemoryExampleDatabase

from kernelgate.correctness.case import LAYOUTS, Case
from kernelgate.correctness.case_runner import HOPELESS, CaseResult, CaseRunner
from kernelgate.correctness.lanes import WHOLE, Lane
from kernelgate.correctness.planning.hypothesis_profile import Profile
from kernelgate.correctness.planning.plan import CasePlan
from kernelgate.correctness.planning.planned_cases import FEW_PROGRAMS, WHOLE_BATCH
from kernelgate.correctness.relations import RELATIONS
from kernelgate.correctness.result import Correctness, Finding
from kernelgate.correctness.search import CaseSearch, explore, try_fewer_items
from kernelgate.operations.accuracy.errors import Errors
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.values import FAMILIES, make_family
from tests.selftest.support.small_convolution import FAN_IN

PLAN = CasePlan(
    operation=ALEXNET_CONV1, planned=(), pins=(2, 5), max_batch=64, programs=10, relations=tuple(RELATIONS)
)
PROFILE = Profile(name="default", fixed=False, examples=30, draw_seconds=20.0, shrink_seconds=20.0)
ENTROPY = 77

Judge = Callable[[Case], CaseResult]


class PretendedCaseRunner:
    """Judges as the test says, and keeps what it was asked."""

    def __init__(self, judge: Judge, lane: Lane = WHOLE) -> None:
        self.judge, self.lane = judge, lane
        self.operation = ALEXNET_CONV1
        self.asked: list[Case] = []
        self.expected: list[Case] = []

    def expect(self, case: Case) -> None:
        """Take note of it."""
        self.expected.append(case)

    def run(self, case: Case) -> CaseResult:
        """Return what the case showed."""
        self.asked.append(case)
        return self.judge(case)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def make_case(seed: int = 0, **changes: Any) -> Case:
    return Case(**{"batch": 1, "family": "normal", "seed": seed, "pin": 2, "programs": 0, **changes})


def holds(case: Case) -> CaseResult:
    return CaseResult(case=case, calls=2)


def breaks(case: Case, law: str = "hard-bound") -> CaseResult:
    return CaseResult(case=case, finding=Finding(case=case, law=law, detail="off", forbidden=False))


def examination_of(
    pool: ThreadPoolExecutor, *judges: Judge, tick: Callable[[], None] = lambda: None
) -> tuple[CaseSearch, list[PretendedCaseRunner]]:
    case_runners = [PretendedCaseRunner(judge) for judge in judges]
    return CaseSearch(cast("list[CaseRunner]", case_runners), pool, tick), case_runners


def explored(
    pool: ThreadPoolExecutor, judge: Judge, plan: CasePlan = PLAN, entropy: int = ENTROPY, **changes: Any
) -> CaseSearch:
    search, _ = examination_of(pool, judge)
    explore(search, plan, msgspec.structs.replace(PROFILE, **changes), entropy)
    return search


def test_a_case_is_judged_once_whoever_asks(pool: ThreadPoolExecutor) -> None:
    """Its outcome is remembered; the progress moves once for it."""
    ticks: list[int] = []
    search, (case_runner,) = examination_of(pool, holds, tick=lambda: ticks.append(1))
    assert search.judge(make_case()) is search.judge(make_case())
    assert case_runner.asked == [make_case()]
    assert len(ticks) == 1


def test_planned_cases_are_judged_in_order_until_one_fails(pool: ThreadPoolExecutor) -> None:
    """The others would cost time and change nothing."""
    search, (case_runner,) = examination_of(pool, lambda case: (breaks if case.seed == 3 else holds)(case))
    search.judge_all([make_case(seed) for seed in range(8)])
    assert [case.seed for case in case_runner.asked] == [0, 1, 2, 3]
    assert [case.seed for case in case_runner.expected] == list(range(8)), "from the beginning"
    assert search.finding is not None


def test_case_runners_share_the_planned_cases(pool: ThreadPoolExecutor) -> None:
    """Side by side, each case by one of them."""

    def slowly(case: Case) -> CaseResult:
        time.sleep(0.02)
        return holds(case)

    search, case_runners = examination_of(pool, slowly, slowly, slowly)
    cases = [make_case(seed) for seed in range(12)]
    search.judge_all(cases)
    assert sorted(case.seed for case_runner in case_runners for case in case_runner.asked) == list(range(12))
    assert all(case_runner.asked for case_runner in case_runners)
    assert set(search.outcomes) == set(cases)


def test_an_error_of_a_case_runner_is_not_lost_in_its_thread(pool: ThreadPoolExecutor) -> None:
    """It is the gate's own, and must be seen."""

    def fail(_case: Case) -> CaseResult:
        raise ZeroDivisionError

    search, _ = examination_of(pool, fail)
    with pytest.raises(ZeroDivisionError):
        search.judge_all([make_case()])


def test_the_simplest_of_several_findings_is_the_finding(pool: ThreadPoolExecutor) -> None:
    """Not the first that was met."""
    search, _ = examination_of(pool, breaks)
    for case in (
        make_case(batch=9),
        make_case(batch=2, relation="repeat"),
        make_case(batch=2),
        make_case(batch=5),
    ):
        search.judge(case)
    assert search.finding is not None
    assert search.finding.case == make_case(batch=2)


def test_drawn_cases_are_of_the_plan_and_as_many_as_the_profile_says(pool: ThreadPoolExecutor) -> None:
    """Different ones, of several families, layouts and relations."""
    cases = list(explored(pool, holds).outcomes)
    assert 20 <= len(cases) <= PROFILE.examples
    assert {case.pin for case in cases} == {2, 5}
    sampled = [case for case in cases if case.batch > WHOLE_BATCH]
    assert {case.programs for case in sampled if not RELATIONS[case.relation].many_calls} == {10}
    assert {case.programs for case in sampled if RELATIONS[case.relation].many_calls} <= {FEW_PROGRAMS}
    assert all(1 <= case.batch <= 64 for case in cases)
    assert len({case.family for case in cases}) > len(FAMILIES) // 3
    assert len({case.layout for case in cases}) > len(LAYOUTS) // 2
    assert len({case.relation for case in cases}) > len(RELATIONS) // 3


def test_the_same_entropy_draws_the_same_cases(pool: ThreadPoolExecutor) -> None:
    """Another draws others."""
    first, again, other = (list(explored(pool, holds, entropy=seed).outcomes) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_drawn_cases_are_judged_side_by_side(pool: ThreadPoolExecutor) -> None:
    """The same ones that a single runner judges, though Hypothesis tries one after the other."""
    under_way, together = set[Case](), 0

    def note(case: Case) -> CaseResult:
        nonlocal together
        under_way.add(case)
        together = max(together, len(under_way))
        time.sleep(0.02)
        under_way.discard(case)
        return holds(case)

    search, case_runners = examination_of(pool, note, note)
    explore(search, PLAN, PROFILE, ENTROPY)
    assert together == 2
    asked = [case for case_runner in case_runners for case in case_runner.asked]
    assert sorted(map(str, asked)) == sorted(map(str, explored(pool, holds).outcomes))


@pytest.mark.parametrize(
    ("fails", "simplest"),
    [
        (lambda case: case.batch >= 9, {"batch": 9, "programs": 10}),
        (lambda case: case.relation == "repeat", {"relation": "repeat"}),
        (lambda case: case.layout in ("offset", "transposed"), {"layout": "offset"}),
        (
            lambda case: make_family(case.family, FAN_IN).exact and case.batch > 2,
            {"batch": 3, "family": "integer"},
        ),
        (lambda case: case.pin == 5, {"pin": 5}),
    ],
    ids=["batch", "relation", "layout", "family", "pin"],
)
def test_a_drawn_failure_ends_in_the_simplest_case_that_fails(
    pool: ThreadPoolExecutor, fails: Callable[[Case], bool], simplest: dict[str, Any]
) -> None:
    """A person is shown nothing that does not matter to it."""
    found = explored(pool, lambda case: (breaks if fails(case) else holds)(case), examples=200).finding
    assert found is not None
    assert found.case == make_case(**simplest)


@pytest.mark.parametrize(("first_wrong", "asked"), [(1, [1]), (3, [1, 2, 3]), (4, [1, 2, 3])])
def test_a_failing_case_is_tried_with_fewer_items(
    pool: ThreadPoolExecutor, first_wrong: int, asked: list[int]
) -> None:
    """All of it stays but the batch; of a large one some programs ran, of these few all do."""
    case = make_case(batch=1000, family="tiny", programs=40, layout=LAYOUTS[1])
    search, (runner,) = examination_of(
        pool, lambda found: breaks(found) if found.batch >= first_wrong else holds(found)
    )
    search.judge(case)
    try_fewer_items(search, PLAN)
    few = [msgspec.structs.replace(case, batch=batch, programs=0) for batch in asked]
    assert runner.asked == [case, *few]
    assert search.finding is not None
    assert search.finding.case.batch == (first_wrong if first_wrong in asked else 1000)


@pytest.mark.parametrize(
    ("law", "alone", "plan"),
    [
        ("hard-bound", False, PLAN),
        (next(iter(HOPELESS)), True, PLAN),
        ("hard-bound", True, msgspec.structs.replace(PLAN, drawn_from=(make_case(),))),
    ],
    ids=["not-alone", "hopeless", "book"],
)
def test_where_fewer_items_show_nothing_they_are_not_tried(
    pool: ThreadPoolExecutor, law: str, alone: bool, plan: CasePlan
) -> None:
    """What many cases show together, what costs its whole limit each time, what a plan book lacks."""
    case = make_case(batch=5)
    finding = Finding(case=case, law=law, detail="off", forbidden=False, alone=alone)
    search, (runner,) = examination_of(pool, lambda found: CaseResult(case=found, finding=finding))
    search.judge(case)
    try_fewer_items(search, plan)
    assert runner.asked == [case]


@pytest.mark.parametrize(
    ("law", "few"), [("no-answer", True), ("prints", True), ("out-of-memory", True), ("memory", False)]
)
def test_after_a_fault_that_costs_its_whole_limit_nothing_more_is_tried(
    pool: ThreadPoolExecutor, law: str, few: bool
) -> None:
    """Looking for a smaller example would cost it again each time; of another fault it is worth it."""
    search = explored(pool, lambda case: breaks(case, law) if case.batch > 1 else holds(case))
    failed = [outcome for outcome in search.outcomes.values() if outcome.finding]
    assert (len(failed) == 1) == few
    assert search.is_hopeless == few


@pytest.mark.parametrize(
    "changes", [{"draw_seconds": 0.05}, {"draw_seconds": 20.0, "shrink_seconds": 0.05}], ids=str
)
def test_the_search_is_bounded_in_time(pool: ThreadPoolExecutor, changes: dict[str, float]) -> None:
    """For a first failure, and from then on for a smaller one; what has begun is finished."""

    def slowly(case: Case) -> CaseResult:
        time.sleep(0.02)
        return breaks(case) if case.batch > 1 and changes["draw_seconds"] > 1 else holds(case)

    assert 1 <= len(explored(pool, slowly, examples=400, **changes).outcomes) <= 12


def test_a_planned_failure_is_looked_into_for_as_long_as_a_drawn_one(pool: ThreadPoolExecutor) -> None:
    """A smaller one is found by drawing on, for the time of shrinking."""
    search, _ = examination_of(pool, lambda case: (breaks if case.batch >= 3 else holds)(case))
    search.judge_all([make_case(batch=256)])
    explore(search, PLAN, msgspec.structs.replace(PROFILE, draw_seconds=0.001, examples=200), ENTROPY)
    assert search.finding is not None
    assert search.finding.case.batch == 3


def test_a_failure_is_tried_first_the_next_time(pool: ThreadPoolExecutor) -> None:
    """Also on another kernel, with another draw; without a database it has to be met again."""

    def rarely(case: Case) -> CaseResult:
        return (breaks if case.batch == 37 else holds)(case)

    kept = InMemoryExampleDatabase()
    assert explored(pool, rarely, examples=2000, database=kept).finding is not None
    assert explored(pool, rarely, entropy=1, examples=2, database=kept).finding is not None
    assert explored(pool, rarely, entropy=1, examples=2).finding is None


def concluded(pool: ThreadPoolExecutor, *outcomes: CaseResult, where: str = "interpreter") -> Correctness:
    search, _ = examination_of(pool, holds)
    search.outcomes = {outcome.case: outcome for outcome in outcomes}
    return search.conclude(where, PROFILE, ENTROPY, 1.5)


def test_a_conclusion_adds_up_what_all_cases_showed(pool: ThreadPoolExecutor) -> None:
    """The worst errors, all calls, and only the cases that were tried."""
    result = concluded(
        pool,
        CaseResult(
            case=make_case(0), calls=2, errors=Errors(bound_fraction=0.5, error_ratio=1.0), vendor_ratio=0.5
        ),
        CaseResult(
            case=make_case(1), calls=20, errors=Errors(bound_fraction=0.1, error_ratio=2.5), vendor_ratio=2.0
        ),
        CaseResult(case=make_case(2), untried="a graph"),
        where="GPU",
    )
    assert (result.examples, result.calls, result.bound_fraction, result.error_ratio) == (2, 22, 0.5, 2.5)
    assert result.vendor_ratio == 2.0
    assert (result.where, result.profile, result.entropy, result.seconds) == ("GPU", "default", ENTROPY, 1.5)
    assert result.passed
    assert {line.law: line.cases for line in result.laws}["form"] == 2


def test_a_kernel_that_broke_a_law_or_was_not_tried_has_not_passed(pool: ThreadPoolExecutor) -> None:
    """Nothing failed where nothing ran."""
    assert not concluded(pool).passed
    assert not concluded(pool, CaseResult(case=make_case(), untried="a graph")).passed
    assert not concluded(pool, holds(make_case(0)), breaks(make_case(1))).passed
    assert concluded(pool, holds(make_case(0)), CaseResult(case=make_case(1), untried="a graph")).passed
    assert concluded(pool, holds(make_case())).vendor_ratio is None
