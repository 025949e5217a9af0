"""Each law yields on a planted fault and is silent on honest data."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d

from kernelgate import laws
from kernelgate.cases import FAMILIES, Case, Inputs, make_inputs
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.reference import Truth, round_to_tf32, truth_everywhere
from kernelgate.runners import Run
from kernelgate.wire import Ran

SMALL = msgspec.structs.replace(ALEXNET_CONV1, in_size=47, out_channels=32)
BATCH = 4
SHAPE = SMALL.output_shape(BATCH)
POISON = 0x7FC0BEEF
HONEST_RUN = Ran(
    returned="Tensor",
    shape=SHAPE,
    dtype="torch.float32",
    device="cuda:0",
    contiguous=True,
    launches=1,
    programs_run=10,
    programs_total=10,
    inputs_intact=True,
)


def truncate(values: Tensor) -> Tensor:
    """Return what a tensor core reads of a float32 operand: the low 13 bits are not wired."""
    return (values.view(torch.int32) & ~0x1FFF).view(torch.float32)


def to_bfloat16(values: Tensor) -> Tensor:
    return values.bfloat16().float()


def convolve(inputs: Inputs, seen_as: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a kernel's answer that sees its operands so and sums without error, as float32."""
    x, weight = seen_as(inputs.x).double(), seen_as(inputs.weight).double()
    return conv2d(x, weight, inputs.bias.double(), stride=SMALL.stride, padding=SMALL.padding).float()


def draw(family: str, seed: int = 11) -> tuple[Inputs, Truth]:
    inputs = make_inputs(SMALL, Case(batch=BATCH, family=family, seed=seed, pin=0, programs=0))
    return inputs, truth_everywhere(SMALL, inputs)


def broken_bound(answer: Tensor, truth: Truth, offsets: NDArray[np.int64] | None = None) -> list[str]:
    return [broken.detail for broken in laws.check_bound(SMALL, answer, truth, offsets, POISON)]


def make_run(bits: NDArray[np.uint32] | None = None, **changes: Any) -> Run:
    bits = np.zeros(4, dtype=np.uint32) if bits is None else bits
    return Run(ran=msgspec.structs.replace(HONEST_RUN, **changes), bits=bits, poison_bits=POISON)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seen_as", [truncate, round_to_tf32], ids=["truncated", "rounded"])
def test_an_honest_tf32_product_keeps_bound_and_ratio(
    family: str, seen_as: Callable[[Tensor], Tensor]
) -> None:
    """Whichever way the hardware rounds, no family of inputs refuses it."""
    for seed in range(2):
        inputs, truth = draw(family, seed)
        answer = convolve(inputs, seen_as)
        assert broken_bound(answer, truth) == []
        assert list(laws.check_error_ratio(laws.measure_errors(SMALL, answer, truth))) == []


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "integer"])
def test_operands_in_bfloat16_are_refused(family: str) -> None:
    """A format of 7 fraction bits costs eight times TF32's error, wherever operands need more."""
    inputs, truth = draw(family)
    errors = laws.measure_errors(SMALL, convolve(inputs, to_bfloat16), truth)
    (broken,) = laws.check_error_ratio(errors)
    assert broken.law == "error-ratio"


def test_the_measured_ratios_are_those_that_the_line_lies_between() -> None:
    """Rounded operands measure 1, truncated ones 2.6, bf16 ones 8."""
    inputs, truth = draw("normal")
    ratios = [
        laws.measure_errors(SMALL, convolve(inputs, seen_as), truth).error_ratio
        for seen_as in (round_to_tf32, truncate, to_bfloat16)
    ]
    assert ratios == pytest.approx([1.0, 2.6, 8.0], rel=0.1)


@pytest.mark.parametrize("family", ["tiny", "normal"])
def test_operands_in_float16_are_found_where_their_range_ends(family: str) -> None:
    """Half precision rounds as TF32 does, and loses what is tiny."""
    inputs, truth = draw(family)
    answer = convolve(inputs, lambda values: values.half().float())
    assert bool(broken_bound(answer, truth)) == (family == "tiny")


def test_one_element_off_by_twice_the_bound_is_found_with_its_index() -> None:
    """A fault in one of thousands of elements has a place, a value, an error and what was allowed."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, truncate)
    place = (2, 17, 9, 1)
    bound = laws.hard_bound(SMALL, truth)[place]
    answer[place] = float(truth.exact[place] + 2 * bound)
    (detail,) = broken_bound(answer, truth)
    assert detail.startswith(f"out[2,17,9,1]: got {float(answer[place]):.9g}, exact ")
    assert f"allowed {float(bound):.3g}" in detail
    assert f"1 of {answer.numel()} elements" in detail
    assert laws.measure_errors(SMALL, answer, truth).bound_fraction == pytest.approx(2.0, rel=1e-3)


def test_an_element_just_within_the_bound_is_honest() -> None:
    """The bound is where it says it is."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, round_to_tf32)
    answer[1, 2, 3, 4] = float(truth.exact[1, 2, 3, 4] + 0.999 * laws.hard_bound(SMALL, truth)[1, 2, 3, 4])
    assert broken_bound(answer, truth) == []


def test_the_worst_of_many_faults_is_named() -> None:
    """In units of its own bound, not in absolute size."""
    _, truth = draw("channel-range")
    bound = laws.hard_bound(SMALL, truth)
    answer = truth.exact + 1.5 * bound
    answer[3, 1, 0, 2] += 2 * bound[3, 1, 0, 2]
    (detail,) = broken_bound(answer.float(), truth)
    assert detail.startswith("out[3,1,0,2]: ")
    assert f"{answer.numel()} of {answer.numel()} elements" in detail


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_beyond_every_bound(value: float) -> None:
    """NaN compares false with everything, and is found all the same."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, truncate)
    answer[0, 3, 2, 1] = value
    (detail,) = broken_bound(answer, truth)
    assert detail.startswith(f"out[0,3,2,1]: got {value:.9g}, exact ")
    assert "error inf" in detail
    assert laws.measure_errors(SMALL, answer, truth).bound_fraction == float("inf")
    assert list(laws.check_error_ratio(laws.measure_errors(SMALL, answer, truth)))


@pytest.mark.parametrize("poison", [0x7FC0BEEF, 0x7F800000, 0x41424344, 0xFFC00001])
def test_an_element_that_holds_the_poison_is_called_unwritten(poison: int) -> None:
    """Whatever the pattern is, and only then."""
    inputs, truth = draw("normal")
    answer = convolve(inputs, truncate)
    answer[0, 0, 0, 0] = torch.from_numpy(np.array([poison], dtype=np.uint32).view(np.float32))[0]
    (broken,) = laws.check_bound(SMALL, answer, truth, None, poison)
    (other,) = laws.check_bound(SMALL, answer, truth, None, poison ^ 1)
    assert "still holds the poison" in broken.detail
    assert "poison" not in other.detail


def test_a_sample_is_named_by_its_place_in_the_whole_output() -> None:
    """The index is of the output, not of the list of what was compared."""
    inputs, truth = draw("normal")
    offsets = np.array([5, 100, 3000])
    sampled = Truth(*(part.flatten()[offsets] for part in (truth.exact, truth.magnitude, truth.yardstick)))
    answer = convolve(inputs, truncate).flatten()[offsets]
    assert broken_bound(answer, sampled, offsets) == []
    answer[2] += 1000
    (detail,) = broken_bound(answer, sampled, offsets)
    place = ",".join(str(axis) for axis in np.unravel_index(3000, SHAPE))
    assert detail.startswith(f"out[{place}]: ")


def test_where_nothing_is_summed_only_zero_is_allowed() -> None:
    """An all-zero window under a zero bias has the bound zero: exact elements are silent, others named."""
    zeros = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    truth = Truth(zeros, zeros, zeros)
    answer = torch.zeros(1, 1, 1, 4)
    assert broken_bound(answer, truth) == []
    assert laws.measure_errors(SMALL, answer, truth) == laws.Errors(bound_fraction=0.0, error_ratio=0.0)
    answer[0, 0, 0, 2] = 1e-30
    (detail,) = broken_bound(answer, truth)
    assert detail.startswith("out[0,0,0,2]: ")


def test_exact_operands_leave_a_yardstick_of_float32_sums() -> None:
    """Small integers are exact in TF32: their exact sums pass, sums that are off by a unit do not."""
    inputs, truth = draw("integer")
    answer = convolve(inputs, truncate)
    assert torch.equal(truth.yardstick, truth.exact)
    assert laws.measure_errors(SMALL, answer, truth).error_ratio == 0.0
    assert list(laws.check_error_ratio(laws.measure_errors(SMALL, answer + 1, truth)))


@pytest.mark.parametrize("ratio", [4.0001, float("inf"), float("nan")])
def test_a_ratio_over_the_line_or_no_number_is_refused(ratio: float) -> None:
    """NaN is not let through."""
    assert list(laws.check_error_ratio(laws.Errors(bound_fraction=0.0, error_ratio=ratio)))
    assert not list(laws.check_error_ratio(laws.Errors(bound_fraction=0.0, error_ratio=4.0)))


def test_an_honest_run_breaks_no_law_of_its_kind() -> None:
    """The run that the planted faults start from is sound."""
    run = make_run()
    assert list(laws.check_returned(SMALL, BATCH, run)) == []
    assert list(laws.check_launches(run)) == []
    assert list(laws.check_inputs_intact(run)) == []
    assert run.bits is not None
    assert list(laws.check_all_written(run.bits, run)) == []


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"returned": "tuple"}, "returned"),
        ({"shape": (BATCH, 32, 55, 54)}, "shape"),
        ({"shape": (BATCH + 1, *SHAPE[1:])}, "shape"),
        ({"dtype": "torch.float16"}, "dtype"),
        ({"device": "cpu"}, "device"),
        ({"contiguous": False}, "contiguous"),
    ],
)
def test_the_kind_of_what_is_returned_is_a_law(changes: dict[str, Any], law: str) -> None:
    """Each is found by its own name, and is wrong, not forbidden."""
    (broken,) = laws.check_returned(SMALL, BATCH, make_run(**changes))
    assert (broken.law, broken.forbidden) == (law, False)


def test_values_that_did_not_arrive_are_not_taken_for_right() -> None:
    """An output of the right kind whose bits are missing is broken."""
    run = msgspec.structs.replace(make_run(), bits=None)
    (broken,) = laws.check_returned(SMALL, BATCH, run)
    assert "did not arrive" in broken.detail


def test_an_answer_without_a_launch_is_forbidden() -> None:
    """Whoever computed it, the kernel did not."""
    (broken,) = laws.check_launches(make_run(launches=0))
    assert (broken.law, broken.forbidden) == ("delegation", True)


def test_inputs_that_changed_are_found() -> None:
    """A kernel may not write where it reads."""
    (broken,) = laws.check_inputs_intact(make_run(inputs_intact=False))
    assert broken.law == "inputs-intact"


def test_an_element_that_no_program_wrote_is_found() -> None:
    """After all programs nothing may be poison, after some of them much of it is."""
    bits = np.array([1, 2, POISON, 4], dtype=np.uint32)
    (broken,) = laws.check_all_written(bits, make_run(bits))
    assert broken.detail.startswith("1 of 4 ")
    assert list(laws.check_all_written(bits, make_run(bits, programs_run=3))) == []


def test_programs_that_write_nothing_are_found_in_a_sample_too() -> None:
    """An output that is poison throughout leaves nothing to compare, which is no pass."""
    bits = np.full(4, POISON, dtype=np.uint32)
    assert list(laws.check_all_written(bits, make_run(bits, programs_run=3)))
