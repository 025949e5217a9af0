"""What is planted in matmul_bf16: faults of its own, and honest kernels that look like them."""

from functools import partial

from tests.selftest.corpus.planted import base, of_matmul
from tests.selftest.corpus.planted.base import LookAlike, Planted
from tests.selftest.corpus.planted.of_matmul import (
    A_PLACE,
    ALONG_ONE_AXIS,
    FORWARD,
    GRID,
    GROUPS,
    KEPT,
    PLACES,
    PRODUCT,
    STEPS,
    TWO_HALVES,
)

SOURCE = (base.KERNELS / "matmul_bf16_original.py").read_text(encoding="utf-8")
changed = partial(base.changed, source=SOURCE)
before_product = partial(of_matmul.before_product, changed=changed)
planted, look_alike = partial(Planted, operation="matmul_bf16"), partial(LookAlike, operation="matmul_bf16")

ROUNDED = "total.to(tl.bfloat16)"
ANSWER = "out_ptr + m[:, None] * COLUMNS + n[None, :]"
STORE = f"    tl.store({ANSWER}, {ROUNDED}, mask=inside)\n"
GROUPED = changed((PLACES, GROUPS), (GRID, ALONG_ONE_AXIS))
ADDED = f"""\
    before = tl.load({ANSWER}, mask=inside, other=0.0)
    tl.store({ANSWER}, (before + total).to(tl.bfloat16), mask=inside)
"""
HALF_WAY = """\
        if start == K // 2 - BLOCK_K:
            total = total.to(tl.bfloat16).to(tl.float32)
"""
ONE_EXPONENT = """\
        wide = a.to(tl.float32)
        largest = 2.0 * tl.max(tl.abs(wide))
        a = ((wide + largest) - largest).to(tl.bfloat16)
"""


FAULTS = (
    planted(
        "transposed-b",
        "reads b by columns",
        changed(("k[:, None] * COLUMNS + n[None, :])", "n[None, :] * COLUMNS + k[:, None])")),
    ),
    planted(
        "last-block-of-k", "ends the sum a block early", changed((STEPS, "range(0, K - BLOCK_K, BLOCK_K)"))
    ),
    planted(
        "bf16-total",
        "keeps the sum in bfloat16",
        changed((PRODUCT, f"{PRODUCT}        total = total.to(tl.bfloat16).to(tl.float32)\n")),
    ),
    planted(
        "rounded-half-way",
        "rounds the sum to bfloat16 once more, half-way",
        changed((PRODUCT, PRODUCT + HALF_WAY)),
    ),
    planted(
        "cut-answer",
        "cuts the answer to bfloat16 in place of rounding it",
        changed((ROUNDED, 'total.to(tl.bfloat16, fp_downcast_rounding="rtz")')),
    ),
    planted(
        "half-operands",
        "multiplies in float16, which has not the range of bfloat16",
        before_product("a, b = a.to(tl.float16), b.to(tl.float16)"),
    ),
    planted(
        "two-halves-race",
        "adds two halves of the sum in memory, by programs that do not wait for each other",
        changed(*TWO_HALVES, (STORE, ADDED)),
    ),
    planted(
        "groups-at-the-end",
        "takes tiles in groups of four rows of tiles, also where fewer are left",
        base.changed(("min(tiles_m - first, 4)", "4"), source=GROUPED),
    ),
    planted("b-for-good", "keeps b of the first call", changed((FORWARD, FORWARD + KEPT))),
    planted(
        "float32-answer",
        "returns the sums as they are, in float32",
        changed((ROUNDED, "total"), ("dtype=a.dtype", "dtype=torch.float32")),
    ),
    planted(
        "shared-exponent",
        "holds a block of a in 22 bits below its largest",
        changed((PRODUCT, ONE_EXPONENT + PRODUCT)),
    ),
    planted(
        "row-of-tiles-missing",
        "rounds the number of tiles down",
        changed(('triton.cdiv(N, meta["BLOCK_M"])', 'max(1, N // meta["BLOCK_M"])')),
    ),
    planted(
        "row-mask-missing",
        "reads rows behind the last one of a",
        changed((f"tl.load({A_PLACE}, mask=inside, other=0.0)", f"tl.load({A_PLACE})")),
    ),
)
"""Of index, k, rounding, range, the order of programs, state, rows that know of each other."""

ALIKES = (
    look_alike("groups", "takes tiles in groups of four rows of tiles", GROUPED),
    look_alike(
        "tf32-products",
        "multiplies in TF32, which holds every bfloat16",
        before_product("a, b = a.to(tl.float32), b.to(tl.float32)"),
    ),
    look_alike(
        "rows-around",
        "reads the first rows of a where there are no more, and does not store what comes of them",
        changed((A_PLACE, A_PLACE.replace("m[:, None]", "(m % N)[:, None]"))),
    ),
)
"""Other orders of tiles, other products that are as exact."""
