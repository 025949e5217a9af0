"""The relations: which calls a case makes, and what must hold between their answers, bit for bit.

No tolerance is needed to compare a kernel with itself: what scales, moves or repeats the input exactly must
scale, move or repeat the answer exactly. A kernel that computes in fp16 rounds as TF32 does in mid-range, and
is seen by its range; one that answers from a store is seen by its age.

A new relation is one entry of `RELATIONS`. It is then planned, drawn, judged, reported and taken by
`--replay`. Its place decides the order of planned cases, and so their seeds, and the order of the report.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.case import NO_RELATION
from kernelgate.operations.accuracy import Broken
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import channel_order, image_order
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.reference import unravel
from kernelgate.operations.ways import Way

CALLS = 20
"""With new contents in the same storage each time: a cache or a counter of calls shows by then."""

SCALE_EXPONENT = 20
"""Up or down, it leaves the range of fp16 and stays far within that of float32."""

Bits = NDArray[np.uint32]
Offsets = NDArray[np.int64]

FirstCall = Callable[[Call], Call]
"""Makes the first call of a case from the plain one."""

LaterCalls = Callable[[Call], list[Call]]
"""Makes the calls after the first one, which it is given."""

Source = Callable[[Convolution, Recipe, Offsets], Offsets]
"""Tells where the first answer has what must stand at these offsets of the last answer, of that recipe."""


def _unchanged(call: Call) -> Call:
    return call


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """What a case calls after its first call, or in its place, and what must then hold.

    `name` stands in `--replay` texts and is the law that breaks; `says` is what the report says of it.
    `first` and `later` make the calls. `source` is set if the last answer is compared with the first.
    """

    name: str
    says: str
    first: FirstCall = _unchanged
    later: LaterCalls | None = None
    source: Source | None = None

    owns_values_from: int | None = None
    """Wrong values in this call (the first is 0) or a later one break the relation, not a law of values."""
    changes_batch: bool = False
    """The last call has another batch: other kernels may rightly compute it, with other bits."""
    many_calls: bool = False
    """So many calls are made, by the case or the autotuner, that each runs few sampled programs."""
    calls_file: bool = False
    """Its calls are of the file itself, on a GPU; without one `compilation/forms.py` asks for the like."""
    needs_whole: bool = False
    """Its calls share no sampled program: where programs are interpreted, all of a few images are."""
    also_strided: bool = False
    """A planned case tries it with another layout of x too."""
    fresh_worker: bool = False
    """A file that counts its calls must count these from the first."""
    error_allowed: str = ""
    """How the model is used, if a clear error is a right answer to it: then the case is untried."""

    @property
    def makes_later_calls(self) -> bool:
        """Whether a case makes more calls than one."""
        return self.later is not None

    def owns_values_of(self, number: int) -> bool:
        """Whether wrong values in the call of this number, from 0, break the relation."""
        return self.owns_values_from is not None and number >= self.owns_values_from

    def calls(self, plain: Call) -> list[Call]:
        """Return the calls of a case, made from its `plain` call."""
        first = self.first(plain)
        return [first, *self.later(first)] if self.later else [first]

    def check(self, operation: Convolution, runs: Sequence[Run]) -> Iterator[Broken]:
        """Yield what does not hold between the first and the last answer, wherever both were computed."""
        if self.source is None or (self.changes_batch and _kernels(runs[0]) != _kernels(runs[-1])):
            return
        expected, computed = _expect(self.source, operation, runs[0], runs[-1])
        bits, _ = _answer(runs[-1])
        wrong = np.flatnonzero(computed & (expected != _canonical(bits)))
        if wrong.size:
            element = _describe_element(operation, runs[-1], expected, int(wrong[0]))
            differ = f"{wrong.size} of {int(computed.sum())} elements differ from the first call's"
            yield Broken(law=self.name, detail=f"{element}; {differ}")


def _kernels(run: Run) -> list[str]:
    return [launch.kernel for launch in run.ran.launches]


def _answer(run: Run) -> tuple[Bits, Offsets]:
    assert run.bits is not None
    assert run.offsets is not None
    return run.bits, run.offsets


def _expect(source: Source, operation: Convolution, first: Run, last: Run) -> tuple[Bits, NDArray[np.bool_]]:
    """Return the bits that the last answer must have, and where the first call computed them."""
    bits, offsets = _answer(first)
    recipe = last.call.recipe
    wanted = source(operation, recipe, _answer(last)[1])
    places = np.searchsorted(offsets, wanted).clip(0, offsets.size - 1)
    return _scaled(bits[places], recipe.x_exponent + recipe.weight_exponent), offsets[places] == wanted


def _describe_element(operation: Convolution, run: Run, expected: Bits, place: int) -> str:
    bits, offsets = _answer(run)
    index = ",".join(str(int(axis)) for axis in unravel(operation, offsets[place : place + 1]))
    got, allowed = (each.view(np.float32)[place] for each in (bits, expected))
    return f"out[{index}]: got {got:.9g}, allowed {allowed:.9g} alone"


def _scaled(bits: Bits, exponent: int) -> Bits:
    return _canonical((bits.view(np.float32) * np.float32(2.0**exponent)).view(np.uint32))


def _canonical(bits: Bits) -> Bits:
    """Return the bits with one pattern for every NaN, and for both zeros."""
    values = bits.view(np.float32)
    canonical = np.where(np.isnan(values), np.uint32(0x7FC00000), bits)
    return np.where(values == 0, np.uint32(0), canonical)


def _same_place(_operation: Convolution, _recipe: Recipe, offsets: Offsets) -> Offsets:
    return offsets


def _same_image(operation: Convolution, recipe: Recipe, offsets: Offsets) -> Offsets:
    an_image = operation.out_channels * operation.out_size**2
    order = image_order(recipe).numpy() if recipe.shuffled_images else np.arange(recipe.batch)
    wanted: Offsets = (order[offsets // an_image] + recipe.first) * an_image + offsets % an_image
    return wanted


def _same_channel(operation: Convolution, recipe: Recipe, offsets: Offsets) -> Offsets:
    pixels = operation.out_size**2
    rest, pixel = np.divmod(offsets, pixels)
    image, channel = np.divmod(rest, operation.out_channels)
    order = channel_order(operation, recipe).numpy()
    wanted: Offsets = (image * operation.out_channels + order[channel]) * pixels + pixel
    return wanted


def _change(recipe: Recipe, **changes: int) -> Recipe:
    return msgspec.structs.replace(recipe, **changes)


def _call(like: Call, recipe: Recipe, number: int, *, model: int = 0, same_storage: bool = False) -> Call:
    images = tuple(image for image in like.images if image < recipe.batch)
    changes = {"recipe": recipe, "number": number, "images": images, "model": model}
    return msgspec.structs.replace(like, same_storage=same_storage, **changes)


def _once_more(**changes: int) -> LaterCalls:
    """Return what makes a second call, of the first recipe with these changes."""
    return lambda first: [_call(first, _change(first.recipe, **changes), 1)]


def _scale(exponent: str) -> LaterCalls:
    """Return what makes a second call, with this exponent of the recipe up if the seed is odd, else down."""
    powers = (-SCALE_EXPONENT, SCALE_EXPONENT)
    return lambda first: _once_more(**{exponent: powers[first.recipe.seed % 2]})(first)


def _slice_batch(first: Call) -> list[Call]:
    """Return a call on the batch without its last image, or without its first; one image stays."""
    recipe = first.recipe
    changes = {"batch": max(1, recipe.batch - 1), "first": int(recipe.batch > 1 and recipe.seed % 2 == 1)}
    return [_call(first, _change(recipe, **changes), 1)]


def _with_seeds_of_each_part(call: Call) -> Call:
    """Return the call with the same contents, of which each part can be renewed alone."""
    seed = call.recipe.seed
    recipe = _change(call.recipe, weight_seed=seed, bias_seed=seed, half_seed=seed)
    return msgspec.structs.replace(call, recipe=recipe)


def _renew_contents(first: Call) -> list[Call]:
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


def _ask_another_model(first: Call) -> list[Call]:
    """Return a call of a second model on contents of its own, then the first call again."""
    others = _change(first.recipe, seed=first.recipe.seed + 1)
    return [_call(first, others, 1, model=1), _call(first, first.recipe, 2)]


def _call_in_each_way(first: Call) -> list[Call]:
    """Return a call on the same tensors in each way but the plain one."""
    others = [way for way in Way if way is not first.way]
    return [msgspec.structs.replace(first, way=way, number=place) for place, way in enumerate(others, 1)]


def _without_bias(call: Call) -> Call:
    return msgspec.structs.replace(call, recipe=_change(call.recipe, bias=False))


def _unpinned(call: Call) -> Call:
    return msgspec.structs.replace(call, pin=None)


PLAIN = Relation(name=NO_RELATION, says="right in one call")
"""The plain case: its one answer is held against the laws of values, and against nothing else."""

_ALL = (
    PLAIN,
    Relation(name="repeat", says="the same call, the same bits", later=_once_more(), source=_same_place),
    Relation(
        name="scaled-input",
        says="x and bias times 2^k, the answer times 2^k",
        later=_scale("x_exponent"),
        source=_same_place,
    ),
    Relation(
        name="scaled-weight",
        says="weight and bias times 2^k, likewise",
        later=_scale("weight_exponent"),
        source=_same_place,
    ),
    Relation(
        name="shuffled-images",
        says="images permuted, answers permuted",
        later=_once_more(shuffled_images=True),
        source=_same_image,
        needs_whole=True,
    ),
    Relation(
        name="sliced-batch",
        says="a slice of the batch, the slice of the answer",
        later=_slice_batch,
        source=_same_image,
        changes_batch=True,
    ),
    Relation(
        name="shuffled-channels",
        says="output channels permuted, answers permuted",
        later=_once_more(shuffled_channels=True),
        source=_same_channel,
    ),
    Relation(
        name="new-contents",
        says="new contents in the same storage, a new answer",
        first=_with_seeds_of_each_part,
        later=_renew_contents,
        owns_values_from=1,
        many_calls=True,
        also_strided=True,
        fresh_worker=True,
        calls_file=True,
    ),
    Relation(
        name="two-models",
        says="two models at once do not mix",
        later=_ask_another_model,
        source=_same_place,
        owns_values_from=1,
        calls_file=True,
    ),
    Relation(
        name="ways",
        says="called in any way of users, the bits of its launches",
        later=_call_in_each_way,
        owns_values_from=0,
        calls_file=True,
        fresh_worker=True,
    ),
    # The layer that a file is made for always has a bias: to say clearly that it is needed is right.
    Relation(
        name="no-bias",
        says="right without a bias, or a clear error",
        first=_without_bias,
        owns_values_from=0,
        error_allowed="without a bias",
    ),
    Relation(
        name="autotuned",
        says="right as the autotuner leaves it",
        first=_unpinned,
        owns_values_from=0,
        many_calls=True,
    ),
)

RELATIONS = {relation.name: relation for relation in _ALL}
"""All relations by name. The simplest first: shrinking ends in the earliest one that still fails."""
