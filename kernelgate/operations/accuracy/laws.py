"""The laws that every answer must obey, each a small function: what is broken, where, got and allowed."""

from collections.abc import Iterator

import msgspec
import torch
from torch import Tensor

from kernelgate.operations.accuracy.answer import Answer, has_ratio
from kernelgate.operations.accuracy.errors import Errors, rms
from kernelgate.settings import LawLimits


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A law that does not hold; `forbidden` tells breaking the rules from a wrong answer."""

    law: str
    detail: str
    forbidden: bool = False


def wrong_elements(answer: Answer, limits: LawLimits, *, exact: bool, special: bool) -> Tensor:
    """Return which elements break a law of values; `exact` and `special` as the family of values says.

    Where none does by itself, those whose error no rms error of the declared math explains.
    """
    if exact and answer.operation.keeps("exact"):
        return answer.inexact()
    finite, error = answer.bounded(), answer.error()
    wrong = finite & (error > answer.bound())
    if special:
        wrong |= _special_amiss(answer)
    usual = float(rms((answer.truth.yardstick - answer.truth.exact)[finite]))
    if bool(wrong.any()) or not has_ratio(answer.operation, usual):
        return wrong
    return finite & (error > limits.max_error_ratio * usual)


def worst_error(answer: Answer, wrong: Tensor) -> float:
    """Return the largest error among these elements, in hard bounds; infinite for NaN, 0 for none."""
    error, bound = answer.error()[wrong], answer.bound()[wrong]
    return float(torch.where(error == 0, 0, error / bound).max()) if error.numel() else 0.0


def usual_error(answer: Answer, wrong: Tensor) -> float:
    """Return the median error of these elements as a share of what is exact; infinite for NaN, 0 for none."""
    share = (answer.error() / answer.truth.exact.abs())[wrong].nan_to_num(nan=torch.inf, posinf=torch.inf)
    return float(share.median()) if share.numel() else 0.0


def _special_amiss(answer: Answer) -> Tensor:
    got, exact, beside = answer.values.double(), answer.truth.exact, answer.truth.beside_special
    if not answer.operation.keeps("special-values"):
        assert beside is not None
        return torch.where(exact.isfinite(), ~got.isfinite() & ~beside, got.isfinite())
    same = (got == exact) | (got.isnan() & exact.isnan())
    return ~same & ~(got.isfinite() & exact.isfinite())


def check_special_values(answer: Answer) -> Iterator[Broken]:
    """Yield if NaN or an infinity stands where float64 has none, or another one, or none where it has one.

    By any algorithm, if none stands where float64 has one, or one where float64 has none nearby: a transform
    makes NaN of an infinity, and may give it to all of its tile.
    """
    wrong = _special_amiss(answer)
    if bool(wrong.any()):
        worst = int(wrong.int().argmax())
        detail = f"{answer.name(worst)}; {int(wrong.sum())} elements are NaN or infinite amiss"
        yield Broken(law="special-values", detail=detail)


def check_exact(answer: Answer) -> Iterator[Broken]:
    """Yield if an element differs at all, where no sum of any order can round."""
    wrong = answer.inexact()
    if bool(wrong.any()):
        worst = int(torch.where(wrong, answer.error(), -1).argmax())
        detail = (
            f"{answer.name(worst)}, allowed that value only; {int(wrong.sum())} of {wrong.numel()} differ"
        )
        yield Broken(law="exact", detail=detail)


def check_bound(answer: Answer) -> Iterator[Broken]:
    """Yield the worst element beyond the hard bound."""
    error = answer.error()
    bound = answer.bound()
    beyond = answer.bounded() & (error > bound)
    if not bool(beyond.any()):
        return
    # Where the bound is zero an exact element divides zero by zero: only what is beyond may be named.
    worst = int(torch.where(beyond, error / bound, -1).argmax())
    yield Broken(
        law="hard-bound",
        detail=(
            f"{answer.name(worst)}: error {float(error[worst]):.3g}, allowed {float(bound[worst]):.3g}; "
            f"{int(beyond.sum())} of {beyond.numel()} elements are beyond the bound"
        ),
    )


def check_error_ratio(errors: Errors, limits: LawLimits) -> Iterator[Broken]:
    """Yield if the error as a whole is larger than the declared math explains."""
    if not errors.error_ratio <= limits.max_error_ratio:
        allowed = f"allowed {limits.max_error_ratio:g}"
        detail = f"rms error is {errors.error_ratio:.2f} times the declared math's own, {allowed}"
        yield Broken(law="error-ratio", detail=detail)


def check_second_opinion(answer: Answer, vendor: Tensor) -> Iterator[Broken]:
    """Yield if the vendor's answer and this one are further apart than both bounds allow."""
    beyond = answer.apart(vendor)
    if bool(beyond.any()):
        apart, allowed = (answer.values.double() - vendor.double()).abs(), 2 * answer.bound()
        worst = int(torch.where(beyond, apart / allowed, -1).argmax())
        detail = (
            f"{answer.name(worst)}, the vendor {float(vendor[worst]):.9g}: {float(apart[worst]):.3g} apart"
        )
        yield Broken(law="second-opinion", detail=f"{detail}, allowed {float(allowed[worst]):.3g}")
