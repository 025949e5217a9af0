"""What a case calls: its first call, and the calls after it, made from the plain one."""

from collections.abc import Callable

import msgspec

from kernelgate.correctness.calls import Call
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.ways import Way

CALLS = 20
"""With new contents in the same storage each time: a cache or a counter of calls shows by then."""

SCALE_EXPONENT = 20
"""Up or down, it leaves the range of fp16 and stays far within that of float32."""

FirstCall = Callable[[Call], Call]
"""Makes the first call of a case from the plain one."""

LaterCalls = Callable[[Call], list[Call]]
"""Makes the calls after the first one, which it is given."""


def unchanged(call: Call) -> Call:
    """Return the plain call as it is."""
    return call


def _change(recipe: Recipe, **changes: int) -> Recipe:
    return msgspec.structs.replace(recipe, **changes)


def _call(like: Call, recipe: Recipe, number: int, *, model: int = 0, same_storage: bool = False) -> Call:
    images = tuple(image for image in like.images if image < recipe.batch)
    changes = {"recipe": recipe, "number": number, "images": images, "model": model}
    return msgspec.structs.replace(like, same_storage=same_storage, **changes)


def once_more(**changes: int) -> LaterCalls:
    """Return what makes a second call, of the first recipe with these changes."""
    return lambda first: [_call(first, _change(first.recipe, **changes), 1)]


def scale(exponent: str) -> LaterCalls:
    """Return what makes a second call, with this exponent of the recipe up if the seed is odd, else down."""
    powers = (-SCALE_EXPONENT, SCALE_EXPONENT)
    return lambda first: once_more(**{exponent: powers[first.recipe.seed % 2]})(first)


def slice_batch(first: Call) -> list[Call]:
    """Return a call on the batch without its last image, or without its first; one image stays."""
    recipe = first.recipe
    changes = {"batch": max(1, recipe.batch - 1), "first": int(recipe.batch > 1 and recipe.seed % 2 == 1)}
    return [_call(first, _change(recipe, **changes), 1)]


def with_seeds_of_each_part(call: Call) -> Call:
    """Return the call with the same contents, of which each part can be renewed alone."""
    seed = call.recipe.seed
    recipe = _change(call.recipe, weight_seed=seed, bias_seed=seed, half_seed=seed)
    return msgspec.structs.replace(call, recipe=recipe)


def renew_contents(first: Call) -> list[Call]:
    """Return calls of which each renews one thing of the last: x, the weight, half of it, the bias, all."""
    recipe, calls = first.recipe, []
    for number in range(1, CALLS):
        fresh = first.recipe.seed + number
        changes = (
            {"seed": fresh},
            {"weight_seed": fresh, "half_seed": fresh},
            {"bias_seed": fresh},
            {"half_seed": fresh},
            {"seed": fresh, "weight_seed": fresh, "half_seed": fresh, "bias_seed": fresh},
        )
        recipe = _change(recipe, **changes[(number - 1) % len(changes)])
        calls.append(_call(first, recipe, number, same_storage=True))
    return calls


def ask_another_model(first: Call) -> list[Call]:
    """Return a call of a second model on contents of its own, then the first call again."""
    others = _change(first.recipe, seed=first.recipe.seed + 1)
    return [_call(first, others, 1, model=1), _call(first, first.recipe, 2)]


def call_in_each_way(first: Call) -> list[Call]:
    """Return a call on the same tensors in each way but the plain one."""
    others = [way for way in Way if way is not first.way]
    return [msgspec.structs.replace(first, way=way, number=place) for place, way in enumerate(others, 1)]


def without_bias(call: Call) -> Call:
    """Return the call of a model that has no bias."""
    return msgspec.structs.replace(call, recipe=_change(call.recipe, bias=False))


def unpinned(call: Call) -> Call:
    """Return the call in whatever configuration the autotuner chooses."""
    return msgspec.structs.replace(call, pin=None)
