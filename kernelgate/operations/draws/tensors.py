"""The tensors of one call, made from a recipe: judge and worker make the same bits, item by item."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from kernelgate.errors import InputsError
from kernelgate.operations.declaration.argument import Argument, Shape
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.near_values import KINDS, near_family
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.values import Family, make_family, seeded


def family_of(operation: Operation, recipe: Recipe, number: int = 0) -> Family:
    """Return how the values of a recipe are drawn, and the item of that number.

    Near a number items take turns in how they lie to it, and seeds where the domain has fewer items.
    """
    if recipe.near:
        turn = number + (recipe.seed if operation.max_batch < KINDS else 0)
        return near_family(recipe.near, operation.fan_in, turn % KINDS)
    return make_family(recipe.family, operation.fan_in)


def item_numbers(recipe: Recipe) -> Tensor:
    """Return which of the drawn items stands at each place of the batch, [N] int64."""
    places = torch.arange(recipe.first, recipe.first + recipe.batch)
    if recipe.shuffled == BATCH:
        places = places[item_order(recipe)]
    beyond = recipe.first + recipe.batch - recipe.pool
    if beyond <= 0:
        return places
    # Drawn only beyond the pool: a slice that ends within it holds the same items.
    drawn = torch.randint(0, recipe.pool, (beyond,), generator=seeded(recipe.seed, "pool"))
    return torch.cat([torch.arange(recipe.pool), drawn])[places]


def item_order(recipe: Recipe) -> Tensor:
    """Return the order that a recipe with a shuffled batch takes its items in, [N] int64."""
    return torch.randperm(recipe.batch, generator=seeded(recipe.seed, "image order"))


def feature_order(operation: Operation, recipe: Recipe) -> Tensor:
    """Return the order that a recipe with shuffled features takes them in, int64."""
    features = operation.relations.features
    assert features is not None
    extent = operation.output_shape(1)[features.output]
    return torch.randperm(extent, generator=seeded(recipe.seed, "channel order"))


def infinite_item(recipe: Recipe) -> int:
    """Return the number of the drawn item that is infinite, if the recipe has such a one."""
    return recipe.seed % min(recipe.batch, recipe.pool)


def make_item(operation: Operation, recipe: Recipe, argument: Argument, number: int) -> Tensor:
    """Return one drawn item of an input, in its shape without N."""
    label = f"{number}" if argument is operation.inputs[0] else f"{argument.name} {number}"
    with _own_faults(recipe):
        draw = family_of(operation, recipe, number).of("x")
        shape = _without_n(argument)
        item = draw(shape or (1,), seeded(recipe.seed, label)).reshape(shape)
    if recipe.infinite and number == infinite_item(recipe):
        return as_stored(operation, torch.full_like(item, torch.inf))
    item = item[:1].expand_as(item) if recipe.grey else item
    return as_stored(operation, item * 2.0 ** recipe.exponent_of(argument.name))


def dtype_of(operation: Operation) -> torch.dtype:
    """Return the element type of the operation's tensors, as PyTorch has it."""
    dtype: torch.dtype = getattr(torch, operation.dtype)
    return dtype


def as_stored(operation: Operation, values: Tensor) -> Tensor:
    """Return values rounded to the operation's element type, to nearest even."""
    return values.to(dtype_of(operation))


def _without_n(argument: Argument) -> Shape:
    return tuple(extent for extent in argument.shape if extent != "N")


def make_items(operation: Operation, recipe: Recipe, places: Sequence[int]) -> dict[str, Tensor]:
    """Return the items at the given places of the batch, stacked along N, of each input that has it."""
    numbers = [int(number) for number in item_numbers(recipe)[list(places)]]
    return make_drawn(operation, recipe, numbers)


def make_drawn(operation: Operation, recipe: Recipe, numbers: Sequence[int]) -> dict[str, Tensor]:
    """Return the drawn items of these numbers, stacked along N, of each input that has it."""
    drawn = {
        each.name: torch.stack(
            [make_item(operation, recipe, each, number) for number in numbers], dim=each.axis
        )
        for each in operation.inputs
        if each.is_free
    }
    return _shuffled(operation, recipe, drawn)


def make_batches(operation: Operation, recipe: Recipe, device: str = "cpu") -> dict[str, Tensor]:
    """Return the whole inputs that have N, each drawn item made once."""
    drawn, places = draw_items(operation, recipe)
    drawn = {name: items.to(device) for name, items in drawn.items()}
    if torch.equal(places, torch.arange(recipe.batch)):
        return drawn
    return {
        each.name: drawn[each.name].index_select(each.axis, places.to(device))
        for each in operation.inputs
        if each.is_free
    }


def draw_items(operation: Operation, recipe: Recipe) -> tuple[dict[str, Tensor], Tensor]:
    """Return the different items of a batch by input, and which of them stands at each place of it [N]."""
    numbers, places = torch.unique(item_numbers(recipe), return_inverse=True)
    return make_drawn(operation, recipe, numbers.tolist()), places


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


def make_parameters(operation: Operation, recipe: Recipe) -> dict[str, Tensor]:
    """Return the tensors without N, the parameters and such inputs; zeros for what is absent.

    Raises InputsError, as all that makes tensors here does.
    """
    with _own_faults(recipe):
        fixed = [each for each in operation.arguments if not each.is_free]
        drawn = {each.name: _draw(operation, recipe, each) for each in fixed}
        return _shuffled(operation, recipe, drawn)


def _draw(operation: Operation, recipe: Recipe, argument: Argument) -> Tensor:
    shape, draw = argument.shape_at(1), family_of(operation, recipe).of(argument.role)
    if argument.name in recipe.absent:
        return as_stored(operation, torch.zeros(shape))
    values = draw(shape or (1,), seeded(recipe.seed_of(argument.name), argument.name)).reshape(shape)
    if recipe.half_seed is not None and argument.role == "weight":
        half = shape[0] // 2
        values[half:] = draw(shape, seeded(recipe.half_seed, argument.name))[half:]
    return as_stored(operation, values * 2.0 ** recipe.exponent_of(argument.name))


def _shuffled(operation: Operation, recipe: Recipe, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
    features = operation.relations.features
    if recipe.shuffled != FEATURES or features is None:
        return drawn
    order = feature_order(operation, recipe)
    return {
        name: values.index_select(features.axes[name], order) if name in features.axes else values
        for name, values in drawn.items()
    }


def make_tensors(operation: Operation, recipe: Recipe, device: str = "cpu") -> dict[str, Tensor]:
    """Return all tensors of a recipe on a device, by name."""
    fixed = make_parameters(operation, recipe)
    return make_batches(operation, recipe, device) | {
        name: values.to(device) for name, values in fixed.items()
    }
