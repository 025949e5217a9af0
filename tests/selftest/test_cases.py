"""Families of inputs and the texts that name a case."""

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgate.cases import FAMILIES, SEED_LIMIT, Case, make_inputs, parse_case
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.reference import round_to_tf32

EXACT_SUMS = 2**24
"""Every integer up to here is a float32."""

cases = st.builds(
    Case,
    batch=st.integers(1, ALEXNET_CONV1.max_batch),
    family=st.sampled_from(list(FAMILIES)),
    seed=st.integers(0, SEED_LIMIT - 1),
    pin=st.integers(0, 63),
    programs=st.integers(0, 100),
)


def make_case(family: str = "normal", seed: int = 7, batch: int = 2) -> Case:
    return Case(batch=batch, family=family, seed=seed, pin=0, programs=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_makes_finite_float32_of_the_right_shape(family: str) -> None:
    """What a kernel is given is what the operation is defined on."""
    inputs = make_inputs(ALEXNET_CONV1, make_case(family, batch=3))
    assert inputs.x.shape == (3, 3, 224, 224)
    assert inputs.weight.shape == (96, 3, 11, 11)
    assert inputs.bias.shape == (96,)
    for tensor in (inputs.x, inputs.weight, inputs.bias):
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        assert bool(tensor.isfinite().all())
        assert bool(tensor.any())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_case_makes_the_same_tensors_again(family: str) -> None:
    """A replay meets the very bits that failed."""
    first, again = (make_inputs(ALEXNET_CONV1, make_case(family)) for _ in range(2))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.weight, again.weight)
    assert torch.equal(first.bias, again.bias)


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_makes_other_tensors(family: str) -> None:
    """No answer of an earlier call is the right one for the next."""
    one, other = (make_inputs(ALEXNET_CONV1, make_case(family, seed=seed)) for seed in (7, 8))
    assert not torch.equal(one.x, other.x)
    assert not torch.equal(one.weight, other.weight)
    assert not torch.equal(one.bias, other.bias)


def test_no_two_families_make_the_same_input() -> None:
    """Each name stands for values of its own."""
    inputs = [make_inputs(ALEXNET_CONV1, make_case(family, batch=1)).x for family in FAMILIES]
    assert not any(torch.equal(a, b) for i, a in enumerate(inputs) for b in inputs[:i])


def test_the_integer_family_is_exact_in_tf32_and_in_its_sums() -> None:
    """Any order of summation gives the same float32, so the smallest fault shows."""
    inputs = make_inputs(ALEXNET_CONV1, make_case("integer"))
    largest = 0.0
    for tensor in (inputs.x, inputs.weight, inputs.bias):
        assert torch.equal(tensor, tensor.round())
        assert torch.equal(tensor, round_to_tf32(tensor))
        largest = max(largest, float(tensor.abs().max()))
    assert ALEXNET_CONV1.reduction * largest**2 + largest < EXACT_SUMS


@pytest.mark.parametrize("seed", range(8))
def test_one_hot_sets_one_value_an_image_and_half_of_them_on_the_border(seed: int) -> None:
    """Halo faults live at the first and the last row."""
    x = make_inputs(ALEXNET_CONV1, make_case("one-hot", seed, batch=4)).x
    assert x.sum(dim=(1, 2, 3)).tolist() == [1.0] * 4
    assert bool((x[::2, :, (0, -1)].sum(dim=(1, 2, 3)) == 1).all())


@given(cases)
@settings(max_examples=200, deadline=None)
def test_a_case_survives_its_replay_text(case: Case) -> None:
    """What a report names is what the option takes."""
    assert parse_case(case.replay) == case


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch=1",
        "batch",
        "batch=1,family=normal,seed=1,pin=0",
        "batch=1,family=normal,seed=1,pin=0,programs=0,tolerance=9",
        "batch=1,family=unheard-of,seed=1,pin=0,programs=0",
        "batch=0,family=normal,seed=1,pin=0,programs=0",
        "batch=-1,family=normal,seed=1,pin=0,programs=0",
        "batch=1,family=normal,seed=-1,pin=0,programs=0",
        "batch=1,family=normal,seed=1,pin=-1,programs=0",
        "batch=1,family=normal,seed=1,pin=0,programs=-1",
        "batch=x,family=normal,seed=1,pin=0,programs=0",
        "batch=1.5,family=normal,seed=1,pin=0,programs=0",
        f"batch=1,family=normal,seed={2**64},pin=0,programs=0",
        "batch=1;family=normal;seed=1;pin=0;programs=0",
    ],
)
def test_a_text_that_is_no_case_is_refused(text: str) -> None:
    """The message repeats the text, so that a person sees what was read."""
    with pytest.raises(ValueError, match="not a case") as caught:
        parse_case(text)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_case_or_a_value_error(text: str) -> None:
    """Nothing else escapes, and nothing is guessed."""
    with pytest.raises(ValueError, match="not a case"):
        parse_case(text)


def test_the_largest_seed_that_is_taken_makes_tensors() -> None:
    """The limit is one that torch's generators hold to."""
    case = parse_case(msgspec.structs.replace(make_case(batch=1), seed=SEED_LIMIT - 1).replay)
    assert bool(make_inputs(ALEXNET_CONV1, case).x.any())
