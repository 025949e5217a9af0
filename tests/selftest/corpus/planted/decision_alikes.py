"""Honest files that look at loaded values, and are right whatever they see."""

from tests.selftest.corpus.planted.base import LookAlike, changed
from tests.selftest.corpus.planted.value_faults import BIAS_TERM, PRODUCT, before_product, before_store

ROUND = """\
bits = {0}.to(tl.int32, bitcast=True)
near = ((bits + 0xFFF + ((bits >> 13) & 1)) & -8192).to(tl.float32, bitcast=True)
{0} = tl.where((bits & 0x7F800000) == 0x7F800000, {0}, near)
"""
IN_TWO_PARTS = """\
        high = (patch.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        low = tl.where(tl.abs(patch) < float("inf"), patch - high, 0.0)
        total += tl.dot(low, tl.where(tl.abs(filters) < float("inf"), filters, 0.0))
        total += tl.dot(high, filters)
"""
SIGN_APART = """\
size = tl.maximum(tl.abs(patch), 0.0, propagate_nan=tl.PropagateNan.ALL)
patch = tl.where(patch < 0.0, -size, size)
"""
WHOLE_NUMBERS = """\
whole = patch.to(tl.int32).to(tl.float32)
patch = tl.where(whole == patch, whole, patch)
"""

DECISIONS = (
    LookAlike(
        "rounded-by-bits",
        "rounds both operands to TF32 by their bits, and leaves NaN and infinities alone",
        before_product(ROUND.format("patch") + ROUND.format("filters")),
    ),
    LookAlike(
        "zero-filters-made-positive",
        "asks for filter values of zero, and takes zero for them",
        before_product("filters = tl.where(filters == 0.0, 0.0, filters)"),
    ),
    LookAlike(
        "clamped-at-infinity",
        "clamps answers between minus and plus infinity, which none is beyond",
        before_store(
            'total = tl.clamp(total, float("-inf"), float("inf"), propagate_nan=tl.PropagateNan.ALL)'
        ),
    ),
    LookAlike(
        "sign-apart",
        "takes sign and magnitude of pixels apart, and puts them together again",
        before_product(SIGN_APART),
    ),
    LookAlike(
        "in-two-parts",
        "multiplies what TF32 cuts off of pixels separately, unless it is infinite",
        changed((PRODUCT, IN_TWO_PARTS)),
    ),
    LookAlike(
        "nan-made-canonical",
        "exchanges NaN answers for the canonical NaN",
        before_store('total = tl.where(total == total, total, float("nan"))'),
    ),
    LookAlike(
        "whole-numbers-through-integers",
        "carries pixels that are whole numbers through integers, which hold them exactly",
        before_product(WHOLE_NUMBERS),
    ),
    LookAlike(
        "bias-of-zero-not-added",
        "adds the bias only where it is not zero",
        changed((BIAS_TERM, "total = tl.where((shift == 0.0)[None, :], total, total + shift[None, :])")),
    ),
    LookAlike(
        "a-limit-that-is-none",
        "takes the smaller of pixels and 1000, and adds what is above it again",
        before_product(
            "rest = tl.where(patch > 1000.0, patch, 0.0)\npatch = tl.where(patch > 1000.0, rest, patch)"
        ),
    ),
)
