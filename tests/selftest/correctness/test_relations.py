"""What a case calls, and what must hold between the answers of a kernel that is right, or not quite."""

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.case import Case
from kernelgate.correctness.relation_calls import CALLS, SCALE_EXPONENT
from kernelgate.correctness.relations import NO_RELATION, RELATIONS
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import infinite_item, item_numbers, make_tensors
from kernelgate.operations.truth.truth import truth_everywhere
from kernelgate.protocol import Ran
from tests.selftest.support.small_convolution import geometry_of, resize

SMALL = resize(in_size=15, out_channels=6)
BATCH = 4
AN_IMAGE = 6 * 3 * 3
COMPARED = ("repeat", "scaled-input", "scaled-weight", "shuffled-batch", "sliced-batch", "shuffled-features")
COMPARED += ("infinite-item", "two-models")
"""Relations that hold between answers; of the others each answer is judged by its own values."""

Bits = NDArray[np.uint32]
Kernel = Callable[[Recipe], Bits]


KEPT = {"whole": True}
"""Whether answers of which nothing is left out are kept as such, as those of a GPU are."""


@pytest.fixture(autouse=True, params=[True, False], ids=["whole", "listed"])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every test hold for both ways of comparing answers."""
    monkeypatch.setitem(KEPT, "whole", request.param)


def make_case(relation: str, seed: int = 3, family: str = "integer", batch: int = BATCH) -> Case:
    return Case(batch=batch, family=family, seed=seed, pin=2, programs=5, relation=relation)


def calls_of(case: Case) -> list[Call]:
    plain = Call(
        recipe=case.recipe, pin=case.pin, layout=case.layout, programs=case.programs, sampled=("conv",)
    )
    return RELATIONS[case.relation].calls(SMALL, plain)


@functools.cache
def right(recipe: Recipe) -> Bits:
    """Return the bits of a kernel that is right: integers are exact in any order of their sums."""
    answer = truth_everywhere(SMALL, make_tensors(SMALL, recipe)).exact.float()
    return answer.numpy().ravel().view(np.uint32)


def run(
    call: Call, bits: Bits, offsets: Iterable[int] | None = None, kernel: str = "conv", ttir: str = "a"
) -> Run:
    places = np.arange(bits.size) if offsets is None else np.array(list(offsets))
    is_whole = offsets is None and KEPT["whole"]
    launch = SeenLaunch(kernel=kernel, ttir=ttir, programs_run=1, programs_total=1, makes_answer=True)
    return Run(
        call=call,
        ran=Ran(returned="Tensor", launches=(launch,)),
        bits=bits[places],
        offsets=range(bits.size) if is_whole else places,
        poison_bits=0,
    )


def runs_of(case: Case, kernel: Kernel = right) -> list[Run]:
    return [run(call, kernel(call.recipe)) for call in calls_of(case)]


def change_last(runs: list[Run], bits: Bits) -> list[Run]:
    return [*runs[:-1], msgspec.structs.replace(runs[-1], bits=bits)]


def bits_of(run: Run) -> Bits:
    assert run.bits is not None
    return run.bits.copy()


def times(bits: Bits, factor: float) -> Bits:
    return (bits.view(np.float32) * np.float32(factor)).view(np.uint32)


def broken_of(case: Case, runs: list[Run]) -> list[Broken]:
    return list(RELATIONS[case.relation].check(SMALL, runs))


@pytest.mark.parametrize("relation", COMPARED)
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize(
    ("family", "batch"), [("integer", 1), ("integer", BATCH), ("special", BATCH), ("integer", 65)]
)
def test_every_relation_holds_for_a_kernel_that_is_right(
    relation: str, seed: int, family: str, batch: int
) -> None:
    """Of small batches and of those that repeat their images; with NaN and infinities in place."""
    case = make_case(relation, seed, family, batch)
    assert broken_of(case, runs_of(case)) == []


@pytest.mark.parametrize("relation", COMPARED)
@pytest.mark.parametrize("flipped", [0, 1, 22, 30, 31])
def test_one_bit_of_the_last_answer_breaks_every_relation(relation: str, flipped: int) -> None:
    """Of one element, however small in value; its place and both values are told."""
    case = make_case(relation)
    runs = runs_of(case)
    bits = bits_of(runs[-1])
    place = int(np.flatnonzero(bits)[7])
    bits[place] ^= 1 << flipped
    (broken,) = broken_of(case, change_last(runs, bits))
    assert (broken.law, broken.forbidden) == (relation, False)
    index = ",".join(str(axis) for axis in np.unravel_index(place, SMALL.output_shape(BATCH)))
    assert broken.detail.startswith(f"out[{index}]: got {bits.view(np.float32)[place]:.9g}, allowed ")
    compared = bits.size - AN_IMAGE * (relation == "infinite-item")
    assert f"1 of {compared} elements" in broken.detail


@pytest.mark.parametrize("relation", ["scaled-input", "scaled-weight"])
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("factor", [0.5, 2.0, 2.0**SCALE_EXPONENT, 2.0**-SCALE_EXPONENT])
def test_an_answer_scaled_by_another_exponent_is_seen(relation: str, seed: int, factor: float) -> None:
    """Also one that was not scaled at all, or scaled twice."""
    case = make_case(relation, seed)
    runs = runs_of(case)
    assert [each.law for each in broken_of(case, change_last(runs, times(bits_of(runs[-1]), factor)))] == [
        relation
    ]


@pytest.mark.parametrize("relation", ["scaled-input", "scaled-weight"])
@pytest.mark.parametrize("seed", [3, 4])
def test_a_kernel_with_the_range_of_half_precision_does_not_scale(relation: str, seed: int) -> None:
    """Up it overflows, down it loses its last bits; at ordinary size it is right."""

    def in_half(recipe: Recipe) -> Bits:
        with np.errstate(over="ignore"):
            halves = right(recipe).view(np.float32).astype(np.float16)
        return halves.astype(np.float32).view(np.uint32)

    case, plain = (make_case(each, seed, "normal") for each in (relation, "repeat"))
    assert broken_of(case, runs_of(case, in_half))
    assert broken_of(plain, runs_of(plain, in_half)) == []


@pytest.mark.parametrize("relation", ["shuffled-batch", "shuffled-features", "sliced-batch", "scaled-input"])
@pytest.mark.parametrize("seed", [3, 5])
def test_an_answer_that_does_not_follow_its_input_is_seen(relation: str, seed: int) -> None:
    """Images and channels in their old order, the other end of the batch, the old scale: a stale answer."""
    case = make_case(relation, seed)
    runs = runs_of(case)
    stale = bits_of(runs[0])[: bits_of(runs[-1]).size]
    assert [each.law for each in broken_of(case, change_last(runs, stale))] == [relation]


def test_the_item_that_is_infinite_is_not_compared() -> None:
    """Nor others of a large batch that repeat it; what it does to another one is seen."""
    case = make_case("infinite-item", batch=66)
    runs = runs_of(case)
    numbers = item_numbers(runs[-1].call.recipe)
    bits = bits_of(runs[-1]).reshape(66, AN_IMAGE)
    infinite = numbers == infinite_item(runs[-1].call.recipe)
    assert infinite.sum() >= 1
    bits[infinite] = 0
    assert broken_of(case, change_last(runs, bits.ravel())) == []
    bits[~infinite] = 0x7FC00000
    assert broken_of(case, change_last(runs, bits.ravel()))


def test_two_images_that_trade_places_are_seen() -> None:
    """Each right where it does not belong."""
    case = make_case("shuffled-batch")
    runs = runs_of(case)
    swapped = bits_of(runs[-1]).reshape(BATCH, AN_IMAGE)[[1, 0, *range(2, BATCH)]].ravel()
    assert broken_of(case, change_last(runs, swapped))


def test_a_model_that_answers_for_another_is_seen() -> None:
    """The first model is asked again after the second: a store that both share has the second's answer."""
    case = make_case("two-models")
    runs = runs_of(case)
    assert [call.model for call in calls_of(case)] == [0, 1, 0]
    assert broken_of(case, change_last(runs, bits_of(runs[1])))


def test_other_bits_of_a_nan_and_the_sign_of_zero_are_no_difference() -> None:
    """Float64 has one NaN and counts both zeros as equal; a number in their place is a difference."""
    case = make_case("repeat")
    first = np.array([0x7FC00000, 0x00000000, 0x3F800000], dtype=np.uint32)
    call = calls_of(case)[0]
    for last, holds in (
        ([0xFFC12345, 0x80000000, 0x3F800000], True),
        ([0x3F800000, 0x80000000, 0x3F800000], False),
        ([0xFFC12345, 0x00000001, 0x3F800000], False),
        ([0xFFC12345, 0x80000000, 0x7FC00000], False),
    ):
        runs = [run(call, first), run(call, np.array(last, dtype=np.uint32))]
        assert (broken_of(case, runs) == []) == holds


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (range(10, 30), True),
        (range(30, 50), False),
        (range(10), False),
        ((12, 20, 31), True),
        ((12, 19, 21, 31), False),
    ],
)
def test_samples_are_compared_where_both_were_computed(there: Iterable[int], found: bool) -> None:
    """A fault at place 20 shows where the first call has that place, and nowhere else."""
    case = make_case("repeat")
    call, bits = calls_of(case)[0], right(case.recipe)
    wrong = bits.copy()
    wrong[20] ^= 1
    assert bool(broken_of(case, [run(call, bits, there), run(call, wrong, range(15, 40))])) == found


def test_a_slice_by_other_programs_need_not_have_the_same_bits() -> None:
    """A file may choose other blocks for another batch; the values of each are judged all the same."""
    case = make_case("sliced-batch")
    runs = runs_of(case)
    wrong = bits_of(runs[-1])
    wrong[3] ^= 1
    assert broken_of(case, change_last(runs, wrong))
    assert broken_of(case, [runs[0], run(runs[-1].call, wrong, kernel="small")]) == []
    assert broken_of(case, [runs[0], run(runs[-1].call, wrong, ttir="b")]) == []


@pytest.mark.parametrize("relation", [name for name in RELATIONS if name not in COMPARED])
def test_what_is_judged_by_its_values_is_not_compared(relation: str) -> None:
    """One call, or other contents each time: there is nothing to hold the answers against each other for."""
    case = make_case(relation)
    runs = runs_of(case)
    assert relation == NO_RELATION or RELATIONS[relation].owns_values_of(len(runs) - 1)
    assert broken_of(case, change_last(runs, ~bits_of(runs[-1]))) == []


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_first_call_is_that_of_the_case_and_the_others_are_like_it(relation: str) -> None:
    """Layout, programs and batch stay; every call finds other poison."""
    case = make_case(relation)
    calls = calls_of(case)
    assert {(call.layout, call.programs, call.sampled) for call in calls} == {("contiguous", 5, ("conv",))}
    assert [call.number for call in calls] == list(range(len(calls)))
    assert (calls[0].recipe.seed, calls[0].recipe.batch, calls[0].model) == (3, BATCH, 0)
    assert calls[0].recipe.absent == (("bias",) if relation == "no-bias" else ())
    assert {call.pin for call in calls} == ({None} if relation == "autotuned" else {2})


def test_contents_are_new_in_each_call_and_in_the_same_storage() -> None:
    """Everything is renewed in its turn, alone at times: what a model remembers of any part of it shows."""
    calls = calls_of(make_case("new-contents"))
    assert [call.same_storage for call in calls] == [False] + [True] * (CALLS - 1)
    seen = [make_tensors(SMALL, call.recipe) for call in calls]
    changed, half = set(), geometry_of(SMALL).out_channels // 2
    for before, after in itertools.pairwise(seen):
        parts = {
            "x": (before["x"], after["x"]),
            "first half": (before["weight"][:half], after["weight"][:half]),
            "second half": (before["weight"][half:], after["weight"][half:]),
            "bias": (before["bias"], after["bias"]),
        }
        changed.add(tuple(name for name, (old, new) in parts.items() if not torch.equal(old, new)))
    weight = ("first half", "second half")
    assert changed == {("x",), weight, weight[1:], ("bias",), ("x", *weight, "bias")}
    answers = {right(call.recipe).tobytes() for call in calls}
    assert len(answers) == CALLS


@pytest.mark.parametrize(
    ("relation", "scaled"), [("scaled-input", ("x", "bias")), ("scaled-weight", ("weight", "bias"))]
)
def test_some_cases_scale_up_and_some_down(relation: str, scaled: tuple[str, ...]) -> None:
    """Both ends of a narrow range are reached, by the tensors that the operation declares and the answer."""
    recipes = [calls_of(make_case(relation, seed))[1].recipe for seed in range(6)]
    assert {recipe.answer_exponent for recipe in recipes} == {SCALE_EXPONENT, -SCALE_EXPONENT}
    for recipe in recipes:
        assert dict(recipe.exponents) == dict.fromkeys(scaled, recipe.answer_exponent)


def test_some_cases_slice_off_the_first_image_and_some_the_last() -> None:
    """A batch of one stays one."""
    slices = {
        (calls[1].recipe.first, calls[1].recipe.batch)
        for calls in (calls_of(make_case("sliced-batch", seed)) for seed in range(6))
    }
    assert slices == {(0, BATCH - 1), (1, BATCH - 1)}
    alone = calls_of(make_case("sliced-batch", batch=1))[1].recipe
    assert (alone.first, alone.batch) == (0, 1)


def kinds(calls: list[Call]) -> list[Any]:
    return [(call.recipe.seed, call.model) for call in calls]


def test_a_second_model_has_parameters_and_contents_of_its_own() -> None:
    """The third call is the first again."""
    calls = calls_of(make_case("two-models"))
    assert kinds(calls) == [(3, 0), (4, 1), (3, 0)]
    assert calls[0].recipe == calls[2].recipe
