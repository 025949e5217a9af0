"""One line for each law: what tried it and how that ended, and nothing held that nothing tried."""

from typing import Any

import msgspec
import pytest

from kernelgate.correctness.case import LAYOUTS, NO_RELATION, Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.coverage.laws import LAWS, describe_laws, law_of
from kernelgate.correctness.relations import RELATIONS
from kernelgate.correctness.result import Finding, LawLine
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.values import FAMILIES, make_family
from tests.selftest.support.small_convolution import FAN_IN

NAMES = [law.name for law in LAWS]
ALWAYS = [
    *("form", "runs", "delegation", "memory", "inputs-intact", "hard-bound", "error-ratio", "both-sides")
]
"""Laws that every case tries, wherever it runs."""

LARGEST = ALEXNET_CONV1.max_batch
OF_THE_FILE = ("new-contents", "two-models", "ways")
LAWS_OF_RELATIONS = [name for name in RELATIONS if name != NO_RELATION]
OF_PLANS = [name for name in LAWS_OF_RELATIONS if name not in OF_THE_FILE]


def make_case(seed: int = 0, **changes: Any) -> Case:
    return Case(**{"batch": 3, "family": "normal", "seed": seed, "pin": 0, "programs": 10, **changes})


def held(seed: int = 0, **changes: Any) -> CaseResult:
    return CaseResult(case=make_case(seed, **changes), calls=1)


def broken(law: str, detail: str = "off", seed: int = 0, **changes: Any) -> CaseResult:
    case = make_case(seed, **changes)
    return CaseResult(case=case, finding=Finding(case=case, law=law, detail=detail, forbidden=False))


def untried(why: str, seed: int = 0, **changes: Any) -> CaseResult:
    return CaseResult(case=make_case(seed, **changes), untried=why)


def lines(*outcomes: CaseResult, where: str = "interpreter") -> dict[str, LawLine]:
    return {line.law: line for line in describe_laws(outcomes, where, ALEXNET_CONV1)}


def with_status(status: str, *outcomes: CaseResult, where: str = "interpreter") -> set[str]:
    return {name for name, line in lines(*outcomes, where=where).items() if line.status == status}


@pytest.mark.parametrize("outcomes", [(), (held(),), (broken("form"),), (untried("a graph"),)])
def test_every_law_has_one_line_in_order(outcomes: tuple[CaseResult, ...]) -> None:
    """Whatever was seen; each says what it demands."""
    described = describe_laws(outcomes, "GPU", ALEXNET_CONV1)
    assert [line.law for line in described] == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert all(line.says for line in described)


def test_every_relation_is_a_law() -> None:
    """And so are strange layouts, and families that are exact or special."""
    assert {*LAWS_OF_RELATIONS, "layout", "domain", "exact", "special-values"} <= set(NAMES)


def test_a_law_that_nothing_tried_is_not_held() -> None:
    """No outcome, no law; the line says that there was no case."""
    assert with_status("not tried") == set(NAMES)
    assert {line.cases for line in lines().values()} == {0}
    assert lines()["form"].note == "no case for it here"


def test_a_plain_case_tries_the_laws_of_every_case_and_no_others() -> None:
    """A sample says nothing about what was left unwritten, and no machine without a GPU has cuDNN."""
    assert with_status("held", held()) == set(ALWAYS)
    assert with_status("held", held(), where="GPU") == {*ALWAYS, "second-opinion"}
    assert with_status("held", held(programs=0)) == {*ALWAYS, "all-written"}
    assert lines(held(), held(1), held(2))["form"].cases == 3


@pytest.mark.parametrize(
    ("changes", "tried"),
    [
        *(({"relation": name}, {name, "earlier-answers", "calls-differ"}) for name in OF_THE_FILE),
        *(({"relation": name}, {name}) for name in OF_PLANS),
        *(({"layout": name}, {"layout"}) for name in LAYOUTS[1:]),
        *(({"family": name}, {"exact"}) for name in FAMILIES if make_family(name, FAN_IN).exact),
        *(({"family": name}, {"special-values"}) for name in FAMILIES if make_family(name, FAN_IN).special),
        ({"batch": LARGEST}, {"domain"}),
        ({"batch": LARGEST - 1}, set()),
    ],
)
def test_a_case_that_is_there_for_a_law_tries_it(changes: dict[str, Any], tried: set[str]) -> None:
    """That one beside those of every case; what a model remembers shows in no plan that is run."""
    assert with_status("held", held(**changes), where="GPU") == {*ALWAYS, "second-opinion", *tried}
    in_plans = {*OF_THE_FILE, "earlier-answers", "calls-differ"}
    assert with_status("held", held(**changes)) == {*ALWAYS, *tried} - in_plans
    assert all("launch plans" in lines(held(**changes))[name].note for name in in_plans)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_law_says_how_and_with_which_case(name: str) -> None:
    """Whatever kind of case found it, and however many held it; the case can be replayed from the line."""
    found = broken(name, "out[0,0,0,0]: got 1", seed=7)
    line = lines(held(), found, held(2), where="GPU")[name]
    assert line.status == "broken"
    assert line.cases >= 1
    assert line.note == f"out[0,0,0,0]: got 1 Replay: --replay {found.case.replay}"
    assert with_status("broken", found, where="GPU") == {name}


@pytest.mark.parametrize(
    "kind", ["raises", "exits", "crashes", "no-answer", "prints", "protocol", "out-of-memory"]
)
def test_how_a_worker_failed_is_all_one_law(kind: str) -> None:
    """And not the law of what it did to memory that is not its own."""
    assert law_of(kind) == "runs"
    assert with_status("broken", broken(kind)) == {"runs"}
    assert law_of("memory") == "memory"


def test_a_case_that_broke_one_law_is_no_proof_of_another() -> None:
    """The laws after it were not asked: they are not held by that case, and the line says why."""
    line = lines(broken("form"))["hard-bound"]
    assert (line.status, line.cases, line.note) == ("not tried", 0, "a law before it was broken")
    other = lines(broken("form"), held(1))["hard-bound"]
    assert (other.status, other.cases) == ("held", 1)


def test_a_case_that_could_not_be_tried_counts_for_nothing() -> None:
    """Its reason is told where no other case tried the law."""
    seen = lines(untried("a graph of launches", relation="repeat"), held(1))
    assert (seen["repeat"].status, seen["repeat"].note) == ("not tried", "a graph of launches")
    assert (seen["form"].status, seen["form"].cases) == ("held", 1)


def test_a_law_that_needs_a_gpu_says_so_without_one() -> None:
    """Held on a GPU, and never elsewhere."""
    assert lines(held())["second-opinion"].note == "needs a GPU"
    assert lines(held())["second-opinion"].status == "not tried"
    assert lines(held(), where="GPU")["second-opinion"].status == "held"


def test_where_any_algorithm_is_allowed_each_law_of_the_direct_one_says_what_takes_its_place() -> None:
    """None of them is held as it was: what is not asked any more is not held, whatever the cases."""
    by_any = msgspec.structs.replace(ALEXNET_CONV1, algorithm="any")
    outcomes = [held(family=family) for family in ("normal", "integer", "special")]
    direct = {line.law: line for line in describe_laws(outcomes, "GPU", ALEXNET_CONV1)}
    fast = {line.law: line for line in describe_laws(outcomes, "GPU", by_any)}
    assert {name for name in NAMES if direct[name] != fast[name]} == set(ALEXNET_CONV1.direct_laws)
    assert direct["exact"].status == "held"
    assert fast["exact"].status == "not tried"
    assert "direct algorithm only" in fast["exact"].note
    for name in ("hard-bound", "special-values"):
        assert fast[name].status == "held"
        assert fast[name].says != direct[name].says


@pytest.mark.parametrize("name", ["hard-bound", "exact", "all-written"])
def test_wrong_values_say_that_the_call_behaved(name: str) -> None:
    """Its conduct was looked at before: the laws of it were held by that case, and no other was."""
    conduct = {"form", "runs", "delegation", "memory", "inputs-intact"}
    assert with_status("held", broken(name)) == conduct
    assert with_status("held", broken("memory")) == set()
