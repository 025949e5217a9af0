"""The tensors of one call, made from a recipe: judge and worker make the same bits, image by image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
import torch
from torch import Tensor

from kernelgate.errors import InputsError
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.near_values import KINDS, near_family
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.values import FAMILIES, Family, seeded


class Inputs(msgspec.Struct, frozen=True):
    """x [N, C_in, H, W], weight [C_out, C_in, KH, KW], bias [C_out]: float32, on one device."""

    x: Tensor
    weight: Tensor
    bias: Tensor


def family_of(recipe: Recipe, number: int = 0) -> Family:
    """Return how the values of a recipe are drawn, and the image of that number."""
    return near_family(recipe.near, number % KINDS) if recipe.near else FAMILIES[recipe.family]


def image_numbers(recipe: Recipe) -> Tensor:
    """Return which of the drawn images stands at each place of the batch, [N] int64."""
    places = torch.arange(recipe.first, recipe.first + recipe.batch)
    if recipe.shuffled_images:
        places = places[image_order(recipe)]
    beyond = recipe.first + recipe.batch - recipe.pool
    if beyond <= 0:
        return places
    # Drawn only beyond the pool: a slice that ends within it holds the same images.
    drawn = torch.randint(0, recipe.pool, (beyond,), generator=seeded(recipe.seed, "pool"))
    return torch.cat([torch.arange(recipe.pool), drawn])[places]


def image_order(recipe: Recipe) -> Tensor:
    """Return the order that a recipe with shuffled images takes them in, [N] int64."""
    return torch.randperm(recipe.batch, generator=seeded(recipe.seed, "image order"))


def channel_order(operation: Convolution, recipe: Recipe) -> Tensor:
    """Return the order that a recipe with shuffled channels takes them in, [C_out] int64."""
    return torch.randperm(operation.out_channels, generator=seeded(recipe.seed, "channel order"))


def make_image(operation: Convolution, recipe: Recipe, number: int) -> Tensor:
    """Return one drawn image, [C_in, H, W]."""
    with _own_faults(recipe):
        family = family_of(recipe, number)
        image = family.image(operation.input_shape(1)[1:], seeded(recipe.seed, f"{number}"))
    image = image[:1].repeat(len(image), 1, 1) if recipe.grey else image
    return image * 2.0**recipe.x_exponent


def make_images(operation: Convolution, recipe: Recipe, places: Sequence[int]) -> Tensor:
    """Return the images at the given places of the batch, [len(places), C_in, H, W]."""
    numbers = image_numbers(recipe)
    return torch.stack([make_image(operation, recipe, int(numbers[place])) for place in places])


def make_x(operation: Convolution, recipe: Recipe, device: str = "cpu") -> Tensor:
    """Return the whole batch, [N, C_in, H, W], each drawn image made once."""
    drawn, places = draw_images(operation, recipe, device)
    return drawn if torch.equal(places, torch.arange(recipe.batch, device=device)) else drawn[places]


def draw_images(operation: Convolution, recipe: Recipe, device: str) -> tuple[Tensor, Tensor]:
    """Return the different images of a batch, and which of them stands at each place of it."""
    numbers, places = torch.unique(image_numbers(recipe), return_inverse=True)
    drawn = torch.stack([make_image(operation, recipe, int(number)) for number in numbers])
    return drawn.to(device), places.to(device)


@contextmanager
def _own_faults(recipe: Recipe) -> Iterator[None]:
    """Have an error of a family say that it is the gate's own; too little memory is another matter."""
    try:
        yield
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate" in str(error):
            raise
        text = f"family {recipe.family} cannot be drawn: {type(error).__name__}: {error}"
        raise InputsError(text) from error


def make_parameters(operation: Convolution, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Return weight [C_out, C_in, KH, KW] and bias [C_out]; zeros where the recipe has no bias.

    Raises InputsError, as all that makes tensors here does.
    """
    with _own_faults(recipe):
        return _draw_parameters(operation, recipe)


def _draw_parameters(operation: Convolution, recipe: Recipe) -> tuple[Tensor, Tensor]:
    family = family_of(recipe)
    weight = family.weight(operation.weight_shape, seeded(_either(recipe.weight_seed, recipe.seed), "weight"))
    bias = family.bias((operation.out_channels,), seeded(_either(recipe.bias_seed, recipe.seed), "bias"))
    if recipe.half_seed is not None:
        half = operation.out_channels // 2
        weight[half:] = family.weight(operation.weight_shape, seeded(recipe.half_seed, "weight"))[half:]
    if recipe.shuffled_channels:
        order = channel_order(operation, recipe)
        weight, bias = weight[order], bias[order]
    bias = bias * 2.0 ** (recipe.x_exponent + recipe.weight_exponent)
    return weight * 2.0**recipe.weight_exponent, bias if recipe.bias else torch.zeros_like(bias)


def _either(own: int | None, common: int) -> int:
    return common if own is None else own


def make_inputs(operation: Convolution, recipe: Recipe, device: str = "cpu") -> Inputs:
    """Return all tensors of a recipe on a device."""
    weight, bias = make_parameters(operation, recipe)
    return Inputs(make_x(operation, recipe, device), weight.to(device), bias.to(device))
