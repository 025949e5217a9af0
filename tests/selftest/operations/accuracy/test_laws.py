"""Each law of values yields on a planted fault and is silent on honest data."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d

from kernelgate.operations.accuracy import laws
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.accuracy.errors import Errors, look_at
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES, make_family
from kernelgate.operations.truth.reference import Tensors, Truth, round_to_tf32
from kernelgate.operations.truth.truth import truth_everywhere
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.small_convolution import FAN_IN, geometry_of, resize

SMALL = resize(in_size=47, out_channels=24)
BATCH = 2
SHAPE = SMALL.output_shape(BATCH)
POISON = 0x7FC0BEEF
BLIND_TO_BFLOAT16 = ("integer", "zero")
"""Families whose operands are exact in bf16, or do not matter."""


def truncate(values: Tensor) -> Tensor:
    """Return what a tensor core reads of a float32 operand: the low 13 bits are not wired."""
    return (values.view(torch.int32) & ~0x1FFF).view(torch.float32)


def to_bfloat16(values: Tensor) -> Tensor:
    return values.bfloat16().float()


def convolve(inputs: Tensors, seen_as: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a kernel's answer that sees its operands so and sums without error, as float32."""
    x, weight = seen_as(inputs["x"]).double(), seen_as(inputs["weight"]).double()
    return conv2d(
        x,
        weight,
        inputs["bias"].double(),
        stride=geometry_of(SMALL).stride,
        padding=geometry_of(SMALL).padding,
    ).float()


def draw(family: str, seed: int = 11) -> tuple[Tensors, Truth]:
    inputs = make_tensors(SMALL, Recipe(family=family, seed=seed, batch=BATCH))
    return inputs, truth_everywhere(SMALL, inputs)


def make_answer(
    values: Tensor, truth: Truth, offsets: NDArray[np.int64] | None = None, poison: int = POISON
) -> Answer:
    offsets = np.arange(values.numel()) if offsets is None else offsets
    return Answer(
        operation=SMALL,
        values=values.flatten(),
        truth=truth.flattened(),
        offsets=offsets,
        batch=BATCH,
        poison_bits=poison,
    )


def broken_bound(values: Tensor, truth: Truth, offsets: NDArray[np.int64] | None = None) -> list[str]:
    return [broken.detail for broken in laws.check_bound(make_answer(values, truth, offsets))]


def measure(values: Tensor, truth: Truth) -> Errors:
    return look_at(make_answer(values, truth), LAWS).errors


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seen_as", [truncate, round_to_tf32], ids=["truncated", "rounded"])
def test_an_honest_tf32_product_keeps_every_law(family: str, seen_as: Callable[[Tensor], Tensor]) -> None:
    """Whichever way the hardware rounds, no family of inputs refuses it."""
    for seed in range(2):
        inputs, truth = draw(family, seed)
        answer = make_answer(convolve(inputs, seen_as), truth)
        assert list(laws.check_bound(answer)) == []
        assert list(laws.check_error_ratio(look_at(answer, LAWS).errors, LAWS)) == []
        assert list(laws.check_special_values(answer)) == []
        assert not make_family(family, FAN_IN).exact or list(laws.check_exact(answer)) == []
        rounded = convolve(inputs, round_to_tf32).flatten()
        assert list(laws.check_second_opinion(answer, rounded)) == []


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in BLIND_TO_BFLOAT16])
def test_operands_in_bfloat16_are_refused(family: str) -> None:
    """A format of 7 fraction bits costs eight times TF32's error, wherever operands need more."""
    inputs, truth = draw(family)
    (broken,) = laws.check_error_ratio(measure(convolve(inputs, to_bfloat16), truth), LAWS)
    assert broken.law == "error-ratio"


def test_the_measured_ratios_are_those_that_the_line_lies_between() -> None:
    """Rounded operands measure 1, truncated ones 2.6, bf16 ones 8."""
    inputs, truth = draw("normal")
    ratios = [
        measure(convolve(inputs, seen_as), truth).error_ratio
        for seen_as in (round_to_tf32, truncate, to_bfloat16)
    ]
    assert ratios == pytest.approx([1.0, 2.6, 8.0], rel=0.1)


@pytest.mark.parametrize("family", ["tiny", "huge", "normal"])
def test_operands_in_float16_are_found_where_their_range_ends(family: str) -> None:
    """Half precision rounds as TF32 does, and loses what is tiny or huge."""
    inputs, truth = draw(family)
    answer = convolve(inputs, lambda values: values.half().float())
    assert bool(broken_bound(answer, truth)) == (family != "normal")


def test_one_element_off_by_twice_the_bound_is_found_with_its_index() -> None:
    """A fault in one of thousands of elements has a place, a value, an error and what was allowed."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, truncate)
    place = (1, 17, 9, 1)
    bound = hard_bound(SMALL, truth)[place]
    answer[place] = float(truth.exact[place] + 2 * bound)
    (detail,) = broken_bound(answer, truth)
    assert detail.startswith(f"out[1,17,9,1]: got {float(answer[place]):.9g}, exact ")
    assert f"allowed {float(bound):.3g}" in detail
    assert f"1 of {answer.numel()} elements" in detail
    assert measure(answer, truth).bound_fraction == pytest.approx(2.0, rel=1e-3)


def test_the_bound_is_what_tf32_operands_and_float32_sums_can_lose() -> None:
    """By hand: twice 2^-10 and its square, and 363 roundings of 2^-23, of a sum whose parts are 1 in size."""
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    sums = 363 * 2.0**-23
    by_hand = 2 * 2.0**-10 + 2.0**-20 + sums / (1 - sums)
    assert float(hard_bound(SMALL, Truth(zero, one, zero))) == pytest.approx(by_hand, rel=1e-9)
    of_three = hard_bound(SMALL, Truth(-3 * one, 3 * one, zero))
    assert float(of_three) == pytest.approx(3 * by_hand + 3 * 2.0**-23, rel=1e-9)


def test_an_element_just_within_the_bound_is_honest() -> None:
    """The bound is where it says it is."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, round_to_tf32)
    answer[1, 2, 3, 4] = float(truth.exact[1, 2, 3, 4] + 0.999 * hard_bound(SMALL, truth)[1, 2, 3, 4])
    assert broken_bound(answer, truth) == []


def test_the_worst_of_many_faults_is_named() -> None:
    """In units of its own bound, not in absolute size."""
    _, truth = draw("channel-range")
    bound = hard_bound(SMALL, truth)
    answer = truth.exact + 1.5 * bound
    answer[1, 1, 0, 2] += 2 * bound[1, 1, 0, 2]
    (detail,) = broken_bound(answer.float(), truth)
    assert detail.startswith("out[1,1,0,2]: ")
    assert f"{answer.numel()} of {answer.numel()} elements" in detail


def test_the_usual_error_is_a_share_of_what_is_exact() -> None:
    """Of wrong elements the median, which one that is far off does not move; of none it is 0."""
    _, truth = draw("normal")
    values = (truth.exact * 1.25).float()
    values[0, 0, 0, 0] = 1e9
    answer = make_answer(values, truth)
    every = torch.ones(values.numel(), dtype=torch.bool)
    assert laws.usual_error(answer, every) == pytest.approx(0.25, rel=1e-3)
    assert laws.usual_error(answer, ~every) == 0.0
    values[:] = torch.nan
    assert laws.usual_error(make_answer(values, truth), every) == float("inf")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_beyond_every_bound(value: float) -> None:
    """NaN compares false with everything, and is found all the same, by every law of values."""
    inputs, truth = draw("normal")
    values = convolve(inputs, truncate)
    right = values.clone().flatten()
    values[0, 3, 2, 1] = value
    (detail,) = broken_bound(values, truth)
    assert detail.startswith(f"out[0,3,2,1]: got {value:.9g}, exact ")
    assert "error inf" in detail
    assert measure(values, truth).bound_fraction == float("inf")
    assert list(laws.check_error_ratio(measure(values, truth), LAWS))
    assert list(laws.check_exact(make_answer(values, truth)))
    assert list(laws.check_special_values(make_answer(values, truth)))
    assert list(laws.check_second_opinion(make_answer(values, truth), right))


@pytest.mark.parametrize("poison", [0x7FC0BEEF, 0x7F800000, 0x41424344, 0xFFC00001])
def test_an_element_that_holds_the_poison_is_called_unwritten(poison: int) -> None:
    """Whatever the pattern is, and only then."""
    inputs, truth = draw("normal")
    values = convolve(inputs, truncate)
    values[0, 0, 0, 0] = torch.from_numpy(np.array([poison], dtype=np.uint32).view(np.float32))[0]
    (broken,) = laws.check_bound(make_answer(values, truth, poison=poison))
    (other,) = laws.check_bound(make_answer(values, truth, poison=poison ^ 1))
    assert "(never written)" in broken.detail
    assert "never written" not in other.detail


def test_a_sample_is_named_by_its_place_in_the_whole_output() -> None:
    """The index is of the output, not of the list of what was compared."""
    inputs, truth = draw("normal")
    offsets = np.array([5, 100, 3000])
    sampled = Truth(*(part.flatten()[offsets] for part in (truth.exact, truth.magnitude, truth.yardstick)))
    values = convolve(inputs, truncate).flatten()[offsets]
    assert broken_bound(values, sampled, offsets) == []
    values[2] += 1000
    (detail,) = broken_bound(values, sampled, offsets)
    place = ",".join(str(axis) for axis in np.unravel_index(3000, SHAPE))
    assert detail.startswith(f"out[{place}]: ")


def test_where_nothing_is_summed_only_zero_is_allowed() -> None:
    """An all-zero window under a zero bias has the bound zero: exact elements are silent, others named."""
    zeros = torch.zeros(400, dtype=torch.float64)
    truth = Truth(zeros, zeros, zeros)
    values = torch.zeros(400)
    assert broken_bound(values, truth) == []
    assert measure(values, truth) == Errors(bound_fraction=0.0, error_ratio=0.0)
    values[2] = 1e-30
    (detail,) = broken_bound(values, truth)
    assert detail.startswith("out[0,0,0,2]: ")


@pytest.mark.parametrize("family", [name for name in FAMILIES if make_family(name, FAN_IN).exact])
def test_where_no_sum_rounds_the_last_bit_counts(family: str) -> None:
    """An element off by one unit in its last place is named, far below the bound of real values."""
    inputs, truth = draw(family)
    values = convolve(inputs, truncate)
    assert list(laws.check_exact(make_answer(values, truth))) == []
    values[1, 2, 3, 4] = torch.nextafter(values[1, 2, 3, 4], torch.tensor(torch.inf))
    (broken,) = laws.check_exact(make_answer(values, truth))
    assert broken.law == "exact"
    assert broken.detail.startswith("out[1,2,3,4]: got ")
    assert f"1 of {values.numel()} differ" in broken.detail


def test_exact_operands_leave_a_yardstick_of_float32_sums() -> None:
    """Small integers are exact in TF32: their exact sums pass, sums that are off by a unit do not."""
    inputs, truth = draw("integer")
    answer = convolve(inputs, truncate)
    assert torch.equal(truth.yardstick, truth.exact)
    assert measure(answer, truth).error_ratio == 0.0
    assert list(laws.check_error_ratio(measure(answer + 1, truth), LAWS))


@pytest.mark.parametrize("count", [1, LAWS.min_ratio_elements - 1, LAWS.min_ratio_elements])
def test_a_ratio_is_drawn_from_enough_elements_only(count: int) -> None:
    """One unlucky rounding may be the whole of a small sample; the bound is asked of each element anyway."""
    inputs, truth = draw("normal")
    few = Truth(*(part.flatten()[:count] for part in (truth.exact, truth.magnitude, truth.yardstick)))
    ratio = measure(convolve(inputs, to_bfloat16).flatten()[:count], few).error_ratio
    assert (ratio > LAWS.max_error_ratio) == (count == LAWS.min_ratio_elements)


@pytest.mark.parametrize("family", [name for name in FAMILIES if make_family(name, FAN_IN).special])
@pytest.mark.parametrize("planted", ["clamped", "turned", "made a number", "made infinite"])
def test_special_values_must_stand_where_float64_has_them(family: str, planted: str) -> None:
    """A NaN for an infinity, the other infinity, a number for either, and either for a number."""
    inputs, truth = draw(family)
    values = convolve(inputs, truncate)
    a_number = values[values.isfinite()][0]
    fault = {
        "clamped": values.clamp(-1e30, 1e30),
        "turned": torch.where(values.isinf(), -values, values),
        "made a number": values.nan_to_num(0.0, torch.inf, -torch.inf),
        "made infinite": torch.where(values == a_number, torch.inf, values),
    }[planted]
    (broken,) = laws.check_special_values(make_answer(fault, truth))
    assert broken.law == "special-values"


def test_special_values_hide_no_fault_beside_them() -> None:
    """Where the truth is a number the bound is asked as ever, and the figures stay finite."""
    inputs, truth = draw("special")
    values = convolve(inputs, truncate)
    assert measure(values, truth).bound_fraction <= 1
    place = int(truth.exact.flatten().isfinite().nonzero()[5])
    values.flatten()[place] += 1000
    assert len(broken_bound(values, truth)) == 1


def test_two_answers_further_apart_than_both_bounds_are_told() -> None:
    """Each may be honest to its own bound, on either side; the vendor's value is in the sentence."""
    _, truth = draw("normal")
    bound = hard_bound(SMALL, truth)
    ours, theirs = (truth.exact + 0.99 * bound).float(), (truth.exact - 0.99 * bound).float()
    assert list(laws.check_second_opinion(make_answer(ours, truth), theirs.flatten())) == []
    theirs[0, 0, 0, 9] = float(truth.exact[0, 0, 0, 9] - 1.1 * bound[0, 0, 0, 9])
    (broken,) = laws.check_second_opinion(make_answer(ours, truth), theirs.flatten())
    assert broken.law == "second-opinion"
    assert broken.detail.startswith("out[0,0,0,9]: got ")
    assert f"the vendor {float(theirs[0, 0, 0, 9]):.9g}" in broken.detail


@pytest.mark.parametrize("ratio", [4.0001, float("inf"), float("nan")])
def test_a_ratio_over_the_line_or_no_number_is_refused(ratio: float) -> None:
    """NaN is not let through."""
    assert list(laws.check_error_ratio(Errors(bound_fraction=0.0, error_ratio=ratio), LAWS))
    assert not list(laws.check_error_ratio(Errors(bound_fraction=0.0, error_ratio=4.0), LAWS))


def test_the_worst_of_two_errors_is_kept_field_by_field() -> None:
    """One answer may be worse by its worst element, the other as a whole."""
    one, other = Errors(bound_fraction=0.5, error_ratio=1.0), Errors(error_ratio=2.0)
    assert one.worst(other) == other.worst(one) == Errors(bound_fraction=0.5, error_ratio=2.0)


def test_a_law_set_otherwise_judges_otherwise() -> None:
    """So the settings decide what ratio is allowed, and of how many elements there is one."""
    errors = Errors(bound_fraction=0.0, error_ratio=5.0)
    looser = msgspec.structs.replace(LAWS, max_error_ratio=6.0)
    assert list(laws.check_error_ratio(errors, LAWS))
    assert not list(laws.check_error_ratio(errors, looser))
    inputs, truth = draw("normal")
    answer = make_answer(convolve(inputs, truncate), truth)
    more = msgspec.structs.replace(LAWS, min_ratio_elements=answer.values.numel() + 1)
    assert look_at(answer, LAWS).errors.error_ratio > 0 == look_at(answer, more).errors.error_ratio


def test_one_look_shows_both_answers_and_what_each_law_finds() -> None:
    """The vendor's errors are its own, whichever of the two is wrong."""
    inputs, truth = draw("integer")
    right = convolve(inputs, round_to_tf32)
    wrong = right.flatten().clone()
    wrong[7] += 1000
    ours = look_at(make_answer(wrong, truth), LAWS, right.flatten(), exact=True)
    assert (ours.inexact, ours.apart) == (True, True)
    assert ours.errors == look_at(make_answer(wrong, truth), LAWS).errors
    assert ours.errors.bound_fraction > 1
    assert ours.vendor == look_at(make_answer(right, truth), LAWS).errors
    theirs = look_at(make_answer(right, truth), LAWS, wrong, exact=True)
    assert (theirs.inexact, theirs.apart, theirs.vendor) == (False, True, ours.errors)
    assert theirs.errors == ours.vendor
    alone = look_at(make_answer(wrong, truth), LAWS)
    assert (alone.vendor, alone.inexact, alone.apart) == (None, False, False)


def test_one_look_leaves_out_what_has_no_bound() -> None:
    """Beside an element that is infinite in float64 the others are measured as they are without it."""
    inputs, truth = draw("normal")
    values = convolve(inputs, truncate)
    with_one = truth.flattened()
    with_one.exact[5] = torch.inf
    others = torch.arange(values.numel()) != 5
    seen = look_at(make_answer(values, with_one), LAWS, values.flatten())
    rest = look_at(make_answer(values.flatten()[others], with_one.at(others)), LAWS)
    assert seen.errors == seen.vendor == rest.errors
    assert not seen.apart
