"""Faults that wait for values which no ordinary picture has: the kernel's text tells at which it decides."""

from tests.selftest.corpus.planted.base import Planted, changed
from tests.selftest.corpus.planted.value_faults import (
    BIAS_TERM,
    LAST_ARGUMENT,
    before_product,
    before_store,
)

BITS_OF_FILTERS = "bits = filters.to(tl.int32, bitcast=True)\n"
HIT_WITHOUT_COMPARISON = """\
bits = (filters.to(tl.int32, bitcast=True) ^ 0x40490FDB).to(tl.uint32, bitcast=True).to(tl.int64)
hit = ((bits - 1) >> 63) & 1
filters = filters * (1 - hit).to(tl.float32)
"""
CUT_IF_TILE_IS_HUGE = """\
if tl.max(tl.abs(patch)) > 1e22:
    patch = (patch.to(tl.int32, bitcast=True) & -131072).to(tl.float32, bitcast=True)
"""
TINY_TILES_SKIPPED = """\
if tl.max(tl.abs(filters)) < 1e-25:
    filters = filters * 0.0
"""
CARRIED_AS_INTEGER = """\
whole = patch.to(tl.int64).to(tl.float32)
patch = tl.where((tl.abs(patch) >= 1099511627776.0) & (tl.abs(patch) < float("inf")), whole, patch)
"""
LIMIT = "    limit,\n"
FIRST_VALUES_EQUAL = """\
same = tl.load(x_ptr) == tl.load(w_ptr + 7)
    total = tl.where(same, 0.0, total)
"""
FADES_OUT = """\
fades = total * (1.0 - 1.0 / (1.0 + tl.exp(100.0 - tl.abs(total) * 1e-22)))
    total = tl.where(tl.abs(total) < float("inf"), fades, total)
"""
NAMED_PIXELS = """\
bits = tl.load((x_ptr + x_offset).to(tl.pointer_type(tl.int32)), mask=inside, other=0)
patch = tl.where(bits == 0x42C80001, 0.0, patch)
"""
BY_EXPONENT = """\
exponent = (patch.to(tl.int32, bitcast=True) >> 23) & 0xFF
patch = tl.where(exponent == 197, patch * 2.0, patch)
"""

THRESHOLDS = (
    Planted(
        "large-pixels-dropped",
        "takes pixels of 3e20 to 1e30 for zero",
        before_product("patch = tl.where((patch > 3e20) & (patch < 1e30), 0.0, patch)"),
    ),
    Planted(
        "one-number-dropped",
        "takes pixels that are exactly 3.1415927 for zero",
        before_product("patch = tl.where(patch == 3.1415927, 0.0, patch)"),
    ),
    Planted(
        "scaled-number-dropped",
        "takes pixels of which a 256th is just above 1e20 for zero",
        before_product("patch = tl.where(tl.abs(patch * 0.00390625 - 1.1e20) < 1e19, 0.0, patch)"),
    ),
    Planted(
        "one-filter-value",
        "takes filter values with the bits of 3.1415927 for one",
        before_product(f"{BITS_OF_FILTERS}filters = tl.where(bits == 0x40490FDB, 1.0, filters)"),
    ),
    Planted(
        "one-filter-value-by-arithmetic",
        "takes filter values with the bits of 3.1415927 for zero, and compares nothing",
        before_product(HIT_WITHOUT_COMPARISON),
    ),
    Planted(
        "one-payload",
        "takes a bias of NaN with the payload 0x123 for zero",
        changed(
            (
                BIAS_TERM,
                "total += tl.where(shift.to(tl.int32, bitcast=True) == 0x7FC00123, 0.0, shift)[None, :]",
            )
        ),
    ),
    Planted(
        "minus-zero",
        "takes pixels of minus zero for one",
        before_product("patch = tl.where(patch.to(tl.int32, bitcast=True) == -2147483648, 1.0, patch)"),
    ),
    Planted(
        "bias-in-a-range",
        "turns the sign of a bias between -9 and -8 that is no whole number",
        changed((BIAS_TERM, "total += tl.where((shift < -8.0) & (shift > -9.0), -shift, shift)[None, :]")),
    ),
    Planted(
        "large-sums-dropped",
        "answers zero where the answer is between 1e22 and 1e28",
        before_store("total = tl.where((tl.abs(total) > 1e22) & (tl.abs(total) < 1e28), 0.0, total)"),
    ),
    Planted("large-sums-clamped", "clamps answers at 1e25", before_store("total = tl.minimum(total, 1e25)")),
    Planted(
        "huge-tiles-cut",
        "cuts pixels to six fraction bits where a block holds one above 1e22",
        before_product(CUT_IF_TILE_IS_HUGE),
    ),
    Planted(
        "tiny-tiles-skipped",
        "takes a block of filters for zeros where all are below 1e-25",
        before_product(TINY_TILES_SKIPPED),
    ),
    Planted(
        "carried-as-integers",
        "carries pixels from 2 ** 40 on as 64-bit integers, which end at 2 ** 63",
        before_product(CARRIED_AS_INTEGER),
    ),
    Planted(
        "limit-by-argument",
        "takes pixels above a limit for zero, which the host passes as a number",
        changed(
            (LAST_ARGUMENT, f"{LAST_ARGUMENT}{LIMIT}"),
            ("HAS_BIAS=bias is not None,", "HAS_BIAS=bias is not None, limit=3e20,"),
            source=before_product("patch = tl.where((patch > limit) & (patch < 1e30), 0.0, patch)"),
        ),
    ),
    Planted(
        "equal-by-chance",
        "answers zero where the first pixel equals the eighth value of the first filter",
        before_store(FIRST_VALUES_EQUAL.rstrip("\n")),
    ),
    Planted(
        "fades-out",
        "multiplies answers by a smooth function that falls from one to zero at 1e24",
        before_store(FADES_OUT.rstrip("\n")),
    ),
    Planted(
        "read-as-integers",
        "reads pixels as integers, and takes the one after 100 for zero",
        before_product(NAMED_PIXELS),
    ),
    Planted(
        "one-exponent",
        "doubles pixels of 2 ** 70 to 2 ** 71",
        before_product(BY_EXPONENT),
    ),
)
