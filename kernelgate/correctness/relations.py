"""The calls that a case makes, and what must hold between their answers, bit for bit.

No tolerance is needed to compare a kernel with itself: what scales, moves or repeats the input exactly must
scale, move or repeat the answer exactly. A kernel that computes in fp16 rounds as TF32 does in mid-range, and
is seen by its range; one that answers from a store is seen by its age.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.case import Case
from kernelgate.operations.accuracy import Broken
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import channel_order, image_order
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.reference import unravel

CALLS = 20
"""With new contents in the same storage each time: a cache or a counter of calls shows by then."""

CALLS_WHOLE = 6
"""Where each call takes seconds, all its programs being interpreted."""

SCALE_EXPONENT = 20
"""Up or down, it leaves the range of fp16 and stays far within that of float32."""

STATE = ("new-contents", "two-models", "no-bias", "autotuned")
"""Relations whose every call is judged by its values: what is broken there is what the model remembers."""

Offsets = NDArray[np.int64]


def plan_calls(case: Case, base: Call, *, slow: bool) -> list[Call]:
    """Return the calls of a case; `base` is the first, `slow` says that each takes seconds."""
    recipe = base.recipe
    if case.relation == "new-contents":
        recipes = _renewals(recipe, CALLS_WHOLE if slow else CALLS)
        return [_call(base, r, n, same_storage=n > 0) for n, r in enumerate(recipes)]
    if case.relation == "autotuned":
        return [msgspec.structs.replace(base, pin=None)]
    if case.relation == "two-models":
        second = _change(recipe, seed=recipe.seed + 1)
        return [base, _call(base, second, 1, model=1), _call(base, recipe, 2)]
    if case.relation in _SECOND:
        return [base, _call(base, _SECOND[case.relation](recipe), 1)]
    return [base]


def check_relation(operation: Convolution, case: Case, runs: Sequence[Run]) -> Iterator[Broken]:
    """Yield what does not hold between the answers; they are compared wherever both were computed."""
    if case.relation not in _EXPECT or len(runs) < 2 or not _same_programs(runs[0], runs[-1], case):
        return
    first, last = runs[0], runs[-1]
    assert first.bits is not None
    assert first.offsets is not None
    assert last.bits is not None
    assert last.offsets is not None
    wanted_at = _EXPECT[case.relation](operation, last.call.recipe, last.offsets)
    places = np.searchsorted(first.offsets, wanted_at).clip(0, first.offsets.size - 1)
    shared = first.offsets[places] == wanted_at
    exponent = last.call.recipe.x_exponent + last.call.recipe.weight_exponent
    expected = _scaled(first.bits[places], exponent)
    wrong = np.flatnonzero(shared & (expected != _canonical(last.bits)))
    if wrong.size:
        index = ",".join(str(int(axis)) for axis in unravel(operation, last.offsets[wrong[:1]]))
        got, allowed = (bits.view(np.float32)[wrong[0]] for bits in (last.bits, expected))
        detail = f"out[{index}]: got {got:.9g}, allowed {allowed:.9g} alone; "
        detail += f"{wrong.size} of {int(shared.sum())} elements differ from the first call's"
        yield Broken(law=case.relation, detail=detail)


def _same_programs(first: Run, last: Run, case: Case) -> bool:
    """Whether the bits can be compared: another batch may rightly be another program's work."""
    if case.relation != "sliced-batch":
        return True
    return [launch.kernel for launch in first.ran.launches] == [launch.kernel for launch in last.ran.launches]


def _change(recipe: Recipe, **changes: int) -> Recipe:
    return msgspec.structs.replace(recipe, **changes)


def _call(base: Call, recipe: Recipe, number: int, *, model: int = 0, same_storage: bool = False) -> Call:
    images = tuple(image for image in base.images if image < recipe.batch)
    changed = msgspec.structs.replace(base, recipe=recipe, number=number, images=images)
    return msgspec.structs.replace(changed, model=model, same_storage=same_storage)


def _renewals(recipe: Recipe, count: int) -> list[Recipe]:
    """Return recipes of which each renews one thing of the last: x, the weight, half of it, the bias, all."""
    recipe = _change(recipe, weight_seed=recipe.seed, bias_seed=recipe.seed, half_seed=recipe.seed)
    renewed = [recipe]
    for number in range(1, count):
        fresh = recipe.seed + number
        changes = (
            {"seed": fresh},
            {"weight_seed": fresh, "half_seed": fresh},
            {"bias_seed": fresh},
            {"half_seed": fresh},
            {"seed": fresh, "weight_seed": fresh, "half_seed": fresh, "bias_seed": fresh},
        )
        renewed.append(_change(renewed[-1], **changes[(number - 1) % len(changes)]))
    return renewed


def _exponent(recipe: Recipe) -> int:
    return SCALE_EXPONENT if recipe.seed % 2 else -SCALE_EXPONENT


_SECOND: dict[str, Callable[[Recipe], Recipe]] = {
    "repeat": lambda recipe: recipe,
    "scaled-input": lambda recipe: _change(recipe, x_exponent=_exponent(recipe)),
    "scaled-weight": lambda recipe: _change(recipe, weight_exponent=_exponent(recipe)),
    "shuffled-images": lambda recipe: _change(recipe, shuffled_images=True),
    "sliced-batch": lambda recipe: _change(
        recipe, batch=max(1, recipe.batch - 1), first=int(recipe.batch > 1 and recipe.seed % 2 == 1)
    ),
    "shuffled-channels": lambda recipe: _change(recipe, shuffled_channels=True),
}


def _same_place(_operation: Convolution, _recipe: Recipe, offsets: Offsets) -> Offsets:
    return offsets


def _of_image(operation: Convolution, recipe: Recipe, offsets: Offsets) -> Offsets:
    an_image = operation.out_channels * operation.out_size**2
    order = image_order(recipe).numpy() if recipe.shuffled_images else np.arange(recipe.batch)
    wanted: Offsets = (order[offsets // an_image] + recipe.first) * an_image + offsets % an_image
    return wanted


def _of_channel(operation: Convolution, recipe: Recipe, offsets: Offsets) -> Offsets:
    pixels = operation.out_size**2
    rest, pixel = np.divmod(offsets, pixels)
    image, channel = np.divmod(rest, operation.out_channels)
    order = channel_order(operation, recipe).numpy()
    wanted: Offsets = (image * operation.out_channels + order[channel]) * pixels + pixel
    return wanted


_EXPECT: dict[str, Callable[[Convolution, Recipe, Offsets], Offsets]] = {
    "repeat": _same_place,
    "scaled-input": _same_place,
    "scaled-weight": _same_place,
    "shuffled-images": _of_image,
    "sliced-batch": _of_image,
    "shuffled-channels": _of_channel,
    "two-models": _same_place,
}
"""Where the first call had what must stand at these offsets of the last."""


def _scaled(bits: NDArray[np.uint32], exponent: int) -> NDArray[np.uint32]:
    return _canonical((bits.view(np.float32) * np.float32(2.0**exponent)).view(np.uint32))


def _canonical(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the bits with one pattern for every NaN, and for both zeros."""
    values = bits.view(np.float32)
    canonical = np.where(np.isnan(values), np.uint32(0x7FC00000), bits)
    return np.where(values == 0, np.uint32(0), canonical)
