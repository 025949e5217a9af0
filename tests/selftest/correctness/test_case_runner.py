"""What a case comes to: which law a fault is laid to, what is untried, and what is asked of a caller."""

from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate.compilation.recording import UnplannedError
from kernelgate.correctness import truths
from kernelgate.correctness.calls import Run
from kernelgate.correctness.case import LAYOUTS
from kernelgate.correctness.case_runner import HOPELESS, CaseResult
from kernelgate.correctness.relation_calls import CALLS
from kernelgate.correctness.relations import RELATIONS
from kernelgate.correctness.result import Finding
from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES
from kernelgate.operations.truth.reference import Tensors, Truth
from kernelgate.operations.truth.truth import truth_everywhere
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.pretended_runner import SMALL, Change, make_case, make_case_runner, spoiled

DOMAIN = {"batch": ALEXNET_CONV1.max_batch, "programs": 2}


def examine(change: Change | None = None, **changes: Any) -> CaseResult:
    operation = ALEXNET_CONV1 if changes.get("batch") == ALEXNET_CONV1.max_batch else None
    case_runner, _ = make_case_runner(change, **({"operation": operation} if operation else {}))
    return case_runner.run(make_case(**changes))


def finding_of(change: Change, **changes: Any) -> Finding:
    finding = examine(change, **changes).finding
    assert finding is not None
    return finding


def at_call(number: int) -> Change:
    """Return what spoils one call of a case."""
    return lambda run, place: spoiled(run) if place == number else run


def with_ran(**changes: Any) -> Change:
    """Return what makes something else of how the call went."""
    return lambda run, _: msgspec.structs.replace(run, ran=msgspec.structs.replace(run.ran, **changes))


def failing(kind: str, number: int = 0) -> Change:
    def fail(run: Run, place: int) -> Run:
        if place == number:
            raise WorkerFault(FaultKind(kind), "seen doing it")
        return run

    return fail


EVERY_CASE = [
    *({"relation": name} for name in RELATIONS),
    *({"layout": name} for name in LAYOUTS[1:]),
    *({"family": name} for name in FAMILIES),
    {"programs": 2},
    {"programs": 2, "relation": "new-contents"},
    DOMAIN,
]


@pytest.mark.parametrize("changes", EVERY_CASE, ids=str)
def test_a_kernel_that_is_right_breaks_nothing(changes: dict[str, Any]) -> None:
    """Of any kind of case; its errors are measured, and its first run is kept."""
    seen = examine(**changes)
    assert (seen.finding, seen.untried) == (None, "")
    assert seen.calls >= 1
    assert seen.first is not None
    assert 0 <= seen.errors.bound_fraction < 0.01
    assert seen.vendor_ratio is None


@pytest.mark.parametrize(
    ("changes", "law", "said"),
    [
        ({}, "hard-bound", "out[1,31,2,2]: got 1000000"),
        ({"family": "integer"}, "exact", "out[1,31,2,2]: got 1000000"),
        ({"layout": "offset"}, "layout", "x offset: hard-bound: out["),
        ({"layout": "transposed", "family": "integer"}, "layout", "x transposed: exact: out["),
        (DOMAIN, "domain", "hard-bound: out[7393,95,54,54]: got 1000000"),
        ({"relation": "no-bias"}, "no-bias", "call 1: hard-bound: out["),
        ({"relation": "autotuned"}, "autotuned", "call 1: hard-bound: out["),
        ({"relation": "repeat"}, "hard-bound", "out["),
        ({"relation": "new-contents"}, "hard-bound", "out["),
        ({"relation": "two-models"}, "hard-bound", "out["),
        ({"relation": "new-contents", "layout": "offset"}, "layout", "x offset: hard-bound"),
    ],
    ids=str,
)
def test_a_wrong_value_is_laid_to_what_is_unusual_about_its_case(
    changes: dict[str, Any], law: str, said: str
) -> None:
    """In the first call; where nothing is unusual it is the plain law's."""
    finding = finding_of(at_call(0), **changes)
    assert (finding.law, finding.forbidden) == (law, False)
    assert finding.detail.startswith(said)
    assert finding.case == make_case(**changes)


@pytest.mark.parametrize(
    ("relation", "number"), [("new-contents", 1), ("new-contents", 4), ("two-models", 1), ("two-models", 2)]
)
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_a_later_call_that_is_wrong_shows_what_a_model_remembers(
    relation: str, number: int, layout: str
) -> None:
    """The first call was right: what is broken is the state, whatever the layout; the call is told."""
    finding = finding_of(at_call(number), relation=relation, layout=layout)
    assert finding.law == relation
    assert finding.detail.startswith(f"call {number + 1}: hard-bound: ")


@pytest.mark.parametrize("relation", ["repeat", "scaled-input", "shuffled-features", "sliced-batch"])
def test_answers_that_are_right_alone_may_break_a_relation(relation: str) -> None:
    """By one bit, far within every bound."""

    def flip(run: Run, place: int) -> Run:
        assert run.bits is not None
        return msgspec.structs.replace(run, bits=run.bits ^ 1) if place else run

    assert finding_of(flip, relation=relation).law == relation


def test_the_truth_of_equal_contents_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of other contents it is another: a call that is right by the truth of the one before is found."""
    computed: list[object] = []

    def count(operation: Operation, inputs: Tensors) -> Truth:
        computed.append(inputs)
        return truth_everywhere(operation, inputs)

    monkeypatch.setattr(truths, "truth_everywhere", count)
    assert examine(relation="repeat", programs=0).finding is None
    assert len(computed) == 1
    computed.clear()
    assert examine(relation="scaled-input", programs=0).finding is None
    assert len(computed) == 2


@pytest.mark.parametrize(("beyond", "law"), [(1.001, "hard-bound"), (0.999, None)])
def test_an_error_just_beyond_the_bound_is_found(beyond: float, law: str | None) -> None:
    """And one just within it is none."""

    def spoil(run: Run, _place: int) -> Run:
        assert run.bits is not None
        truth = truth_everywhere(SMALL, make_tensors(SMALL, run.call.recipe)).flattened()
        allowed = float(hard_bound(SMALL, truth)[7])
        values = run.bits.view(np.float32).copy()
        values[7] = float(truth.exact[7]) + beyond * allowed
        return msgspec.structs.replace(run, bits=values.view(np.uint32))

    finding = examine(spoil, programs=0).finding
    assert (finding and finding.law) == law


def test_a_special_value_amiss_is_laid_to_special_values() -> None:
    """A clamp leaves numbers where float64 has infinities and NaN."""

    def clamp(run: Run, _place: int) -> Run:
        assert run.bits is not None
        values = np.nan_to_num(run.bits.view(np.float32), nan=0.0, posinf=1e30, neginf=-1e30)
        return msgspec.structs.replace(run, bits=values.view(np.uint32))

    assert finding_of(clamp, family="special").law == "special-values"
    assert finding_of(clamp, family="special-weight", layout="offset").law == "layout"


@pytest.mark.parametrize("changes", [{}, {"layout": "offset"}, {"relation": "two-models"}, DOMAIN], ids=str)
@pytest.mark.parametrize(
    ("amiss", "law", "forbidden"),
    [
        ({"launches": ()}, "delegation", True),
        ({"returned": "tuple"}, "form", False),
        ({"memory": ("read before x",)}, "memory", False),
        ({"inputs_intact": False}, "inputs-intact", False),
        ({"earlier_intact": False}, "earlier-answers", False),
    ],
    ids=str,
)
def test_conduct_is_its_own_law_in_every_case(
    changes: dict[str, Any], amiss: dict[str, Any], law: str, forbidden: bool
) -> None:
    """It is asked before the values, which need not be looked at, and no layout or batch excuses it."""

    def wrong_too(run: Run, place: int) -> Run:
        return spoiled(with_ran(**amiss)(run, place))

    finding = finding_of(wrong_too, **changes)
    assert (finding.law, finding.forbidden) == (law, forbidden)


def test_an_element_that_nobody_wrote_is_found_where_all_programs_ran() -> None:
    """It has no value to compare."""

    def leave_out(run: Run, _place: int) -> Run:
        assert run.bits is not None
        assert run.offsets is not None
        return msgspec.structs.replace(run, bits=run.bits[:-3], offsets=run.offsets[:-3])

    assert finding_of(leave_out).law == "all-written"
    assert finding_of(leave_out, layout="offset").law == "layout"


def test_a_sample_of_too_few_programs_is_found() -> None:
    """None of those that ran is wrong."""

    def few(run: Run, place: int) -> Run:
        launch = msgspec.structs.replace(run.ran.launches[0], most_written=1)
        return with_ran(launches=(launch,))(run, place)

    assert finding_of(few, programs=2).law == "all-written"


@pytest.mark.parametrize("kind", ["raises", "exits", "crashes", "no-answer", "prints", "protocol"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_that_fails_is_named_by_how(kind: str, number: int) -> None:
    """In any call; a flood of output is against the rules."""
    finding = finding_of(failing(kind, number), relation="repeat")
    assert (finding.law, finding.detail, finding.forbidden) == (kind, "seen doing it", kind == "prints")


def test_what_cannot_be_tried_here_is_no_finding() -> None:
    """The reason is kept; whatever was right before it is not taken for the whole case."""
    seen = examine(failing("untried", 1), relation="repeat")
    assert (seen.finding, seen.untried, seen.first) == (None, "seen doing it", None)


@pytest.mark.parametrize(("algorithm", "law"), [("direct", "exact"), ("any", "")])
def test_a_transform_may_round_what_sums_need_not(algorithm: str, law: str) -> None:
    """Of integers no other sum is right; by any algorithm the bound alone decides."""

    def off_by_an_eighth(run: Run, _place: int) -> Run:
        assert run.bits is not None
        values = run.bits.view(np.float32).copy()
        values[-1] += 0.125
        return msgspec.structs.replace(run, bits=values.view(np.uint32))

    operation = msgspec.structs.replace(SMALL, algorithm=algorithm)
    seen = make_case_runner(off_by_an_eighth, operation)[0].run(make_case(family="integer", batch=1))
    assert (seen.finding.law if seen.finding else "") == law


def test_a_model_may_say_that_it_needs_a_bias() -> None:
    """An error is clear, a crash is not; and no other case excuses an error."""
    seen = examine(failing("raises"), relation="no-bias")
    assert (seen.finding, seen.untried) == (None, "without a bias: seen doing it")
    assert finding_of(failing("crashes"), relation="no-bias").law == "crashes"
    assert finding_of(failing("raises"), relation="autotuned").law == "raises"


@pytest.mark.parametrize("kind", ["crowded", "not-interpreted"])
def test_what_is_not_of_the_file_is_no_finding(kind: str) -> None:
    """A GPU that others fill, an operation that the interpreter lacks: nothing can be said of the kernel."""
    with pytest.raises(WorkerFault, match=kind):
        examine(failing(kind))


@pytest.mark.parametrize(("reason", "forbidden"), [("reads-values", True), ("form", False)])
def test_a_call_without_a_plan_breaks_the_law_that_its_reason_names(reason: str, forbidden: bool) -> None:
    """Whatever the case is there to try."""

    def unplanned(_run: Run, _place: int) -> Run:
        raise UnplannedError("c" * 64, reason, "seen doing it")

    finding = finding_of(unplanned, relation="no-bias")
    assert (finding.law, finding.detail, finding.forbidden) == (reason, "seen doing it", forbidden)


def test_only_faults_that_cost_their_whole_limit_are_hopeless() -> None:
    """Looking for a smaller example of an access out of bounds takes a moment, of a hang minutes."""
    slow = {finding_of(failing(kind)).law for kind in ("no-answer", "out-of-memory", "prints")}
    assert slow == set(HOPELESS)
    quick = {finding_of(failing(kind)).law for kind in ("raises", "exits", "crashes", "protocol")}
    quick |= {finding_of(with_ran(memory=("read before x",))).law, finding_of(at_call(0)).law}
    assert not quick & set(HOPELESS)


def test_a_worker_that_broke_a_law_is_not_asked_again() -> None:
    """What it remembers may be the fault; one that is right goes on to the next case."""
    for change, closed in ((None, 0), (at_call(0), 1), (with_ran(inputs_intact=False), 1)):
        case_runner, caller = make_case_runner(change)
        case_runner.run(make_case())
        assert caller.closed == closed


def test_twenty_calls_begin_with_a_worker_of_their_own() -> None:
    """One that counts its calls counts these from the first."""
    case_runner, caller = make_case_runner()
    case_runner.run(make_case(relation="new-contents"))
    assert caller.closed == 1


def test_twenty_calls_are_made_with_new_contents() -> None:
    """A counter or a cache shows by then."""
    case_runner, caller = make_case_runner()
    assert case_runner.run(make_case(relation="new-contents")).calls == len(caller.calls) == CALLS


def test_a_runner_is_asked_for_what_the_case_says() -> None:
    """Kernels are sampled only where the case samples."""
    case_runner, caller = make_case_runner()
    case = make_case(layout="offset", programs=2, pin=3)
    case_runner.run(case)
    case_runner.run(make_case())
    sampled, whole = caller.calls
    assert (sampled.recipe, sampled.pin, sampled.layout) == (case.recipe, 3, "offset")
    assert (sampled.programs, sampled.sampled, whole.programs, whole.sampled) == (2, ("conv",), 0, ())


def test_items_that_a_kernel_names_are_compared_where_a_batch_is_in_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU; those beyond the batch are left out."""
    case_runner, _ = make_case_runner(interprets=False)
    case_runner.named_items = (121, 5000)
    monkeypatch.setattr(Operation, "granule", 1)
    (call,) = case_runner.calls_of(make_case(batch=1000))
    assert 121 in call.items
    assert max(call.items) == 999
