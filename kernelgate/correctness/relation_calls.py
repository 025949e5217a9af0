"""What a case calls: its first call, and the calls after it, made from the plain one."""

from collections.abc import Callable
from functools import partial

import msgspec

from kernelgate.correctness.calls import Call
from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import ByName, Recipe

CALLS = 20
"""With new contents in the same storage each time: a cache or a counter of calls shows by then."""

SCALE_EXPONENT = 20
"""Up or down, it leaves the range of fp16 and stays far within that of float32."""

FirstCall = Callable[[Operation, Call], Call]
"""Makes the first call of a case from the plain one."""

LaterCalls = Callable[[Operation, Call], list[Call]]
"""Makes the calls after the first one, which it is given."""


def unchanged(_operation: Operation, call: Call) -> Call:
    """Return the plain call as it is."""
    return call


def _change(recipe: Recipe, **changes: object) -> Recipe:
    return msgspec.structs.replace(recipe, **changes)


def _call(like: Call, recipe: Recipe, number: int, *, model: int = 0, same_storage: bool = False) -> Call:
    items = tuple(item for item in like.items if item < recipe.batch)
    changes = {"recipe": recipe, "number": number, "items": items, "model": model}
    return msgspec.structs.replace(like, same_storage=same_storage, **changes)


def once_more(**changes: object) -> LaterCalls:
    """Return what makes a second call, of the first recipe with these changes."""
    return lambda _, first: [_call(first, _change(first.recipe, **changes), 1)]


def scale(names_of: Callable[[Operation], tuple[str, ...]]) -> LaterCalls:
    """Return what makes a second call with these tensors scaled: up if the seed is odd, else down."""

    def scaled(operation: Operation, first: Call) -> list[Call]:
        power = (-SCALE_EXPONENT, SCALE_EXPONENT)[first.recipe.seed % 2]
        exponents = tuple((name, power) for name in names_of(operation))
        return once_more(exponents=exponents, answer_exponent=power)(operation, first)

    return scaled


def slice_batch(_operation: Operation, first: Call) -> list[Call]:
    """Return a call on the batch without its last item, or without its first; one item stays."""
    recipe = first.recipe
    changes = {"batch": max(1, recipe.batch - 1), "first": int(recipe.batch > 1 and recipe.seed % 2 == 1)}
    return [_call(first, _change(recipe, **changes), 1)]


def with_seeds_of_each_part(operation: Operation, call: Call) -> Call:
    """Return the call with the same contents, of which each part can be renewed alone."""
    seed = call.recipe.seed
    recipe = _change(call.recipe, seeds=_seeds(operation, seed), half_seed=seed)
    return msgspec.structs.replace(call, recipe=recipe)


def renew_contents(operation: Operation, first: Call) -> list[Call]:
    """Return calls of which each renews one thing of the last: the inputs, a parameter, half of one, all."""
    recipe, calls = first.recipe, []
    parts: list[Callable[[Recipe, int], Recipe]] = [_renew_inputs]
    parts += [partial(_renew, argument) for argument in _fixed(operation)]
    if any(argument.role == "weight" for argument in _fixed(operation)):
        parts.append(_renew_half)
    parts.append(partial(_renew_all, operation))
    for number in range(1, CALLS):
        recipe = parts[(number - 1) % len(parts)](recipe, first.recipe.seed + number)
        calls.append(_call(first, recipe, number, same_storage=True))
    return calls


def _fixed(operation: Operation) -> list[Argument]:
    return [each for each in operation.arguments if not each.is_free]


def _seeds(operation: Operation, seed: int) -> ByName:
    return tuple((each.name, seed) for each in _fixed(operation))


def _renew_inputs(recipe: Recipe, fresh: int) -> Recipe:
    return _change(recipe, seed=fresh)


def _renew(argument: Argument, recipe: Recipe, fresh: int) -> Recipe:
    """Return the recipe with new contents of one tensor, both of its halves."""
    seeds = tuple((name, fresh if name == argument.name else seed) for name, seed in recipe.seeds)
    half = fresh if argument.role == "weight" else recipe.half_seed
    return _change(recipe, seeds=seeds, half_seed=half)


def _renew_half(recipe: Recipe, fresh: int) -> Recipe:
    return _change(recipe, half_seed=fresh)


def _renew_all(operation: Operation, recipe: Recipe, fresh: int) -> Recipe:
    return _change(recipe, seed=fresh, seeds=_seeds(operation, fresh), half_seed=fresh)


def ask_another_model(_operation: Operation, first: Call) -> list[Call]:
    """Return a call of a second model on contents of its own, then the first call again."""
    others = _change(first.recipe, seed=first.recipe.seed + 1)
    return [_call(first, others, 1, model=1), _call(first, first.recipe, 2)]


def call_in_each_way(operation: Operation, first: Call) -> list[Call]:
    """Return a call on the same tensors in each way but the plain one."""
    others = [way for way in Way if way is not first.way and (operation.same_in_eval or way is not Way.EVAL)]
    return [msgspec.structs.replace(first, way=way, number=place) for place, way in enumerate(others, 1)]


def without_optional(operation: Operation, call: Call) -> Call:
    """Return the call of a model that has none of the parameters that may be absent."""
    absent = tuple(each.name for each in operation.parameters if each.optional)
    return msgspec.structs.replace(call, recipe=_change(call.recipe, absent=absent))


def unpinned(_operation: Operation, call: Call) -> Call:
    """Return the call in whatever configuration the autotuner chooses."""
    return msgspec.structs.replace(call, pin=None)
