"""Where any algorithm is allowed, Winograd's is honest, and what is wrong by any algorithm is refused."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from kernelgate.operations.accuracy import laws
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.accuracy.bounds import hard_bound, spread
from kernelgate.operations.accuracy.errors import look_at
from kernelgate.operations.declaration.error_model import TF32_UNIT
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES, make_family
from kernelgate.operations.truth.patches import NEIGHBOURS
from kernelgate.operations.truth.reference import Tensors, Truth, round_to_tf32
from kernelgate.operations.truth.truth import truth_at, truth_everywhere, truth_of, unravel
from tests.selftest.support.fast_convolution import convolve_fast
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.small_convolution import FAN_IN, by_name, resize

BY_DIRECT = resize(in_size=47, out_channels=24)
BY_ANY = msgspec.structs.replace(BY_DIRECT, algorithm="any")
BATCH = 2
PLAIN = ("normal", "uniform", "new-layer", "constant", "sparse", "smooth", "channel-range", "wide-range")


def truncate(values: Tensor) -> Tensor:
    """Return what a tensor core reads of a float32 operand."""
    return (values.view(torch.int32) & ~0x1FFF).view(torch.float32)


def draw(family: str, seed: int = 11) -> Tensors:
    return make_tensors(BY_ANY, Recipe(family=family, seed=seed, batch=BATCH))


def answer_of(operation: Operation, values: Tensor, truth: Truth) -> Answer:
    flat = values.flatten()
    return Answer(
        operation=operation,
        values=flat,
        truth=truth.flattened(),
        offsets=np.arange(flat.numel()),
        batch=BATCH,
        poison_bits=0x7FC0BEEF,
    )


def broken_laws(operation: Operation, values: Tensor, inputs: Tensors, family: str) -> list[str]:
    """Return the laws of values that are broken, as a case of the family asks for them."""
    answer = answer_of(operation, values, truth_everywhere(operation, inputs))
    broken = list(laws.check_bound(answer))
    broken += laws.check_error_ratio(look_at(answer, LAWS).errors, LAWS)
    if make_family(family, FAN_IN).special:
        broken += laws.check_special_values(answer)
    if make_family(family, FAN_IN).exact and operation.keeps("exact"):
        broken += laws.check_exact(answer)
    exact, special = make_family(family, FAN_IN).exact, make_family(family, FAN_IN).special
    marked = laws.wrong_elements(answer, LAWS, exact=exact, special=special)
    assert bool(marked.any()) or not broken
    return [each.law for each in broken]


def refused(operation: Operation, wrong: Callable[[Tensors], Tensor], families: Sequence[str]) -> set[str]:
    return {
        family for family in families if broken_laws(operation, wrong(draw(family)), draw(family), family)
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seen_as", [truncate, round_to_tf32], ids=["truncated", "rounded"])
def test_an_honest_fast_answer_keeps_every_law_of_any_algorithm(
    family: str, seen_as: Callable[[Tensor], Tensor]
) -> None:
    """Whichever way the hardware rounds what the transforms give it, in every family of values."""
    for seed in range(2):
        inputs = draw(family, seed)
        assert broken_laws(BY_ANY, convolve_fast(BY_ANY, inputs, seen_as), inputs, family) == []


@pytest.mark.parametrize("family", ["one-hot", "one-hot-weight"])
def test_the_laws_of_the_direct_algorithm_refuse_it(family: str) -> None:
    """Its transforms round what is exact in TF32."""
    inputs = draw(family)
    assert "exact" in broken_laws(BY_DIRECT, convolve_fast(BY_DIRECT, inputs, truncate), inputs, family)


def test_a_direct_answer_keeps_the_laws_of_any_algorithm_too() -> None:
    """They are the weaker ones."""

    def directly(inputs: Tensors) -> Tensor:
        x, weight = truncate(inputs["x"]).double(), truncate(inputs["weight"]).double()
        return conv2d(x, weight, inputs["bias"].double(), stride=4, padding=2).float()

    assert refused(BY_ANY, directly, list(FAMILIES)) == set()


def test_operands_in_bfloat16_are_refused() -> None:
    """By the error as a whole, which is TF32's own still."""
    families = [name for name in FAMILIES if not make_family(name, FAN_IN).exact]
    assert refused(
        BY_ANY, lambda i: convolve_fast(BY_ANY, i, lambda v: v.bfloat16().float()), families
    ) == set(families)


def without_bias(inputs: Tensors) -> Tensor:
    return convolve_fast(BY_ANY, {**inputs, "bias": torch.zeros_like(inputs["bias"])}, truncate)


def without_a_channel(inputs: Tensors) -> Tensor:
    x = inputs["x"].clone()
    x[:, 1] = 0
    return convolve_fast(BY_ANY, by_name(x, inputs["weight"], inputs["bias"]), truncate)


def with_a_halo_too_wide(inputs: Tensors) -> Tensor:
    """Return the answer of a kernel whose first column of output sees the picture one column off."""
    values = convolve_fast(BY_ANY, inputs, truncate)
    moved = by_name(inputs["x"].roll(1, 3), inputs["weight"], inputs["bias"])
    values[..., 0] = convolve_fast(BY_ANY, moved, truncate)[..., 0]
    return values


def with_one_filter_for_another(inputs: Tensors) -> Tensor:
    values = convolve_fast(BY_ANY, inputs, truncate)
    values[:, 7] = values[:, 8]
    return values


@pytest.mark.parametrize(
    ("wrong", "families"),
    [
        (without_bias, ("normal", "one-hot", "zero", "sparse")),
        (without_a_channel, PLAIN),
        (with_a_halo_too_wide, ("normal", "uniform", "new-layer", "wide-range")),
        (with_one_filter_for_another, (*PLAIN, "one-hot-weight")),
    ],
    ids=["bias", "channel", "halo", "filter"],
)
def test_what_is_wrong_by_any_algorithm_is_refused(
    wrong: Callable[[Tensors], Tensor], families: tuple[str, ...]
) -> None:
    """No transform explains it."""
    assert refused(BY_ANY, wrong, families) == set(families)


def draw_with_infinities() -> Tensors:
    """Return ordinary values with one infinite pixel and one infinite weight."""
    inputs = draw("normal")
    inputs["x"][0, 1, 9, 9] = torch.inf
    inputs["weight"][3, 2, 5, 5] = torch.inf
    return inputs


def test_no_number_may_stand_near_special_values_and_must_stand_in_their_place() -> None:
    """NaN for an infinity is a transform's doing, and so is NaN beside it; a number in its place is not."""
    inputs = draw_with_infinities()
    truth = truth_everywhere(BY_ANY, inputs)
    assert truth.beside_special is not None
    right = convolve_fast(BY_ANY, inputs, truncate)
    near = truth.exact.isfinite() & truth.beside_special
    assert bool(near.any())
    spread = torch.where(near | right.isinf(), torch.nan, right)
    assert broken_laws(BY_ANY, spread, inputs, "special") == []
    assert "special-values" in broken_laws(BY_DIRECT, spread, inputs, "special")
    assert "special-values" in broken_laws(BY_ANY, right.nan_to_num(0.0, 1.0, 1.0), inputs, "special")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_far_from_special_values_is_refused(value: float) -> None:
    """Beyond the window of every one of them."""
    inputs = draw_with_infinities()
    truth = truth_everywhere(BY_ANY, inputs)
    assert truth.beside_special is not None
    values = convolve_fast(BY_ANY, inputs, truncate)
    values[tuple((~truth.beside_special).nonzero()[0])] = value
    assert set(broken_laws(BY_ANY, values, inputs, "special")) >= {"special-values", "hard-bound"}


def test_a_number_beside_a_special_value_is_still_held_to_its_bound() -> None:
    """Only what is no number is forgiven there."""
    inputs = draw("special")
    truth = truth_everywhere(BY_ANY, inputs)
    assert truth.beside_special is not None
    right = convolve_fast(BY_ANY, inputs, truncate)
    place = tuple((truth.exact.isfinite() & truth.beside_special & right.isfinite()).nonzero()[0])
    right[place] += 1e4
    assert "hard-bound" in broken_laws(BY_ANY, right, inputs, "special")


def test_the_spread_is_what_the_matrices_say() -> None:
    """By hand, of a tile's first output: 1 S of the output before it, 1 of its own, 1 and 2 of the next."""
    assert spread() == ((1 + 1 + 1 + 2) ** 2, NEIGHBOURS)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    truth = Truth(zero, one, zero)
    assert float(hard_bound(BY_ANY, truth)) == pytest.approx(25 * float(hard_bound(BY_DIRECT, truth)))


def test_the_worst_rounding_of_transformed_operands_stays_within_the_bound() -> None:
    """Each operand off by its whole unit, up or down."""
    inputs = by_name(torch.ones(1, 3, 47, 47), torch.ones(BY_ANY.shape_of("weight", 1)), torch.zeros(24))
    truth = truth_everywhere(BY_ANY, inputs)
    generator = torch.Generator().manual_seed(5)

    def off(values: Tensor) -> Tensor:
        signs = torch.randint(0, 2, values.shape, generator=generator) * 2 - 1
        return values * (1 + signs * TF32_UNIT)

    error = (convolve_fast(BY_ANY, inputs, off) - truth.exact).abs()
    assert bool((error <= hard_bound(BY_ANY, truth)).all())


@pytest.mark.parametrize("family", ["normal", "magnitudes", "special", "special-weight"])
def test_the_neighbourhood_of_a_sample_is_that_of_the_whole_answer(family: str) -> None:
    """It is computed at the neighbours themselves, at the edges too."""
    recipe = Recipe(family=family, seed=3, batch=BATCH)
    inputs = make_tensors(BY_ANY, recipe)
    whole = truth_everywhere(BY_ANY, inputs).flattened()
    offsets = np.r_[0:40, whole.exact.numel() - 40 : whole.exact.numel(), 900:5000:37]
    positions = unravel(BY_ANY, offsets)
    for sample in (truth_at(BY_ANY, recipe, positions), truth_of(BY_ANY, inputs, positions)):
        assert sample.beside_special is not None
        assert whole.beside_special is not None
        assert torch.allclose(sample.exact, whole.exact[offsets], equal_nan=True)
        assert torch.allclose(sample.magnitude, whole.magnitude[offsets])
        assert torch.equal(sample.beside_special, whole.beside_special[offsets])


def test_the_largest_magnitude_is_looked_for_in_a_window_and_no_further() -> None:
    """One bright pixel is seen by outputs near it, and by their neighbours."""
    inputs = by_name(torch.zeros(1, 3, 47, 47), torch.ones(BY_ANY.shape_of("weight", 1)), torch.zeros(24))
    inputs["x"][0, 0, 22, 22] = 5.0
    own = truth_everywhere(BY_DIRECT, inputs).magnitude[0, 0, :, 5].nonzero().flatten()
    near = truth_everywhere(BY_ANY, inputs).magnitude[0, 0, :, 5].nonzero().flatten()
    assert (int(near.min()), int(near.max())) == (int(own.min()) - NEIGHBOURS, int(own.max()) + NEIGHBOURS)
