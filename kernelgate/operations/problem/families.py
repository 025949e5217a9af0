"""Which families of values a problem is not for: those that PyTorch's own float32 answer is wrong on."""

from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import ALL_FAMILIES, make_family
from kernelgate.operations.problem.problem import ProblemError
from kernelgate.operations.truth.truth import truth_everywhere, vendor_answer

LARGE = 2**17
"""Elements of all tensors of one item, over which a family takes seconds to look at."""

OF_LARGE = ("normal", "uniform", "new-layer", "far-below-zero")
"""The families that items so large are tried on."""


def find_unfit(operation: Operation, batch: int) -> tuple[str, ...]:
    """Return the families to leave out: no float32 kernel can be held to what PyTorch itself does not reach.

    Of large items most are left out unseen. Raises ProblemError if none of ordinary values is left.
    """
    is_large = operation.min_bytes(1) > operation.element_bytes * LARGE
    tried = OF_LARGE if is_large else ALL_FAMILIES
    fits = _is_finite if is_large else _fits
    unfit = tuple(each for each in ALL_FAMILIES if each not in tried or not fits(operation, each, batch))
    if all(family in unfit or make_family(family, 1).special for family in ALL_FAMILIES):
        raise ProblemError("values", "float32 answers are far from float64's for all values that are tried")
    return unfit


def _is_finite(operation: Operation, family: str, _batch: int) -> bool:
    tensors = make_tensors(operation, Recipe(family=family, seed=0, batch=1))
    return bool(vendor_answer(operation, tensors).isfinite().all())


def _fits(operation: Operation, family: str, batch: int) -> bool:
    """Whether PyTorch's float32 answer has NaN and infinities where float64 has them, and is near elsewhere.

    A truth of ordinary values must be finite.
    """
    recipe = Recipe(family=family, seed=0, batch=batch)
    tensors = make_tensors(operation, recipe)
    truth, answer = truth_everywhere(operation, tensors), vendor_answer(operation, tensors).double()
    finite = truth.exact.isfinite()
    if make_family(recipe.family, operation.fan_in).special:
        same = (answer == truth.exact) | (answer.isnan() & truth.exact.isnan())
        if not bool((same | finite).all()):
            return False
    elif not bool(finite.all()):
        return False
    near = (answer - truth.exact).abs() <= hard_bound(operation, truth)
    return bool((near | ~finite).all())
