"""What is planted in matmul: faults of its own, and honest kernels that look like them."""

import textwrap
from collections.abc import Callable
from functools import partial

from tests.selftest.corpus.planted import base
from tests.selftest.corpus.planted.base import LookAlike, Planted

SOURCE = (base.KERNELS / "matmul_original.py").read_text(encoding="utf-8")
changed = partial(base.changed, source=SOURCE)
planted, look_alike = partial(Planted, operation="matmul"), partial(LookAlike, operation="matmul")

PRODUCT = "        total += tl.dot(a, b)\n"
STEPS = "range(0, K, BLOCK_K)"
PLACES = """\
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
"""
GRID = """\
        return triton.cdiv(N, meta["BLOCK_M"]), triton.cdiv(columns, meta["BLOCK_N"])
"""
STORE = "    tl.store(out_ptr + m[:, None] * COLUMNS + n[None, :], total, mask=inside)\n"
A_PLACE = "a_ptr + m[:, None] * K + k[None, :]"
EMPTY = "torch.empty((N, columns)"
FORWARD = '        """Return [N, 1024] for a [N, 1024] and b [1024, 1024]."""\n'

GROUPS = """\
    tiles_m, tiles_n = tl.cdiv(N, BLOCK_M), COLUMNS // BLOCK_N
    first = tl.program_id(0) // (4 * tiles_n) * 4
    height = min(tiles_m - first, 4)
    inner = tl.program_id(0) % (4 * tiles_n)
    m = (first + inner % height) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = inner // height * BLOCK_N + tl.arange(0, BLOCK_N)
"""
ALONG_ONE_AXIS = """\
        return (triton.cdiv(N, meta["BLOCK_M"]) * triton.cdiv(columns, meta["BLOCK_N"]),)
"""
GROUPED = changed((PLACES, GROUPS), (GRID, ALONG_ONE_AXIS))
TWO_HALVES = (
    (STEPS, "range(tl.program_id(2) * (K // 2), (tl.program_id(2) + 1) * (K // 2), BLOCK_K)"),
    (GRID, GRID.rstrip("\n") + ", 2\n"),
    (EMPTY, EMPTY.replace("empty", "zeros")),
)
ADDED = """\
    before = tl.load(out_ptr + m[:, None] * COLUMNS + n[None, :], mask=inside, other=0.0)
    tl.store(out_ptr + m[:, None] * COLUMNS + n[None, :], before + total, mask=inside)
"""
KEPT = """\
        if not hasattr(self, "kept"):
            self.kept = b.clone()
        b = self.kept
"""


def before_product(code: str, changed: Callable[..., str] = changed) -> str:
    """Return the kernel, as it is changed otherwise, with code before each product."""
    return changed((PRODUCT, textwrap.indent(textwrap.dedent(code).strip("\n"), " " * 8) + "\n" + PRODUCT))


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
        "half-total",
        "keeps the sum in float16",
        changed((PRODUCT, f"{PRODUCT}        total = total.to(tl.float16).to(tl.float32)\n")),
    ),
    planted(
        "bf16-operands",
        "rounds both operands to bf16",
        before_product("""
            a = a.to(tl.bfloat16).to(tl.float32)
            b = b.to(tl.bfloat16).to(tl.float32)
        """),
    ),
    planted(
        "half-operands",
        "multiplies in float16, whose fraction is that of TF32 but whose range is not",
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
    planted(
        "offsets-by-float",
        "computes where a row of a begins in float32, which has 24 bits",
        changed((A_PLACE, "a_ptr + (m[:, None].to(tl.float32) * K + k[None, :]).to(tl.int32)")),
    ),
    planted("b-for-good", "keeps b of the first call", changed((FORWARD, FORWARD + KEPT))),
    planted(
        "zero-blocks-skipped",
        "skips products of blocks of a that are all zero, and with them infinities of b",
        changed((PRODUCT, f"        if tl.max(tl.abs(a)) > 0.0:\n    {PRODUCT}")),
    ),
    planted(
        "shared-exponent",
        "holds a block of a in 22 bits below the largest of all its rows",
        before_product("""
            largest = 2.0 * tl.max(tl.abs(a))
            a = (a + largest) - largest
        """),
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
"""Of index, k, precision, the order of programs, state, special values, rows that know of each other."""

ALIKES = (
    look_alike("groups", "takes tiles in groups of four rows of tiles", GROUPED),
    look_alike(
        "halves-by-atomics",
        "adds two halves of the sum in memory, by atomic additions",
        changed(*TWO_HALVES, (STORE, STORE.replace("tl.store", "tl.atomic_add"))),
    ),
    look_alike(
        "rows-around",
        "reads the first rows of a where there are no more, and does not store what comes of them",
        changed((A_PLACE, A_PLACE.replace("m[:, None]", "(m % N)[:, None]"))),
    ),
)
"""Other orders of tiles and sums."""
