"""What is planted in softmax: faults of its own, and honest kernels that look like them."""

from functools import partial

from tests.selftest.corpus.planted import base
from tests.selftest.corpus.planted.base import LookAlike, Planted

SOURCE = (base.KERNELS / "softmax_original.py").read_text(encoding="utf-8")
changed = partial(base.changed, source=SOURCE)
planted, look_alike = partial(Planted, operation="softmax"), partial(LookAlike, operation="softmax")

SHIFTED = "shifted = x - tl.max(x, axis=0)"
POWERS = "powers = tl.exp(shifted)"
SUM = "tl.sum(powers, axis=0)"
QUOTIENT = f"powers / {SUM}"
INFINITE = 'other=-float("inf")'
BLOCK = "BLOCK=triton.next_power_of_2(N)"
OFFSET = "    offset = tl.program_id(0) * N + column\n"
LOAD = f"    x = tl.load(x_ptr + offset, mask=inside, {INFINITE})\n"
BODY = SOURCE[SOURCE.index("    column = tl.arange(0, BLOCK)\n") : SOURCE.index("\n\ndef triton_softmax")]
RESCALE = "total = total * tl.exp(largest - higher)"

BLOCK_BY_BLOCK = f"""\
    row = tl.program_id(0) * N
    largest, total = -float("inf"), 0.0
    for first in tl.range(0, N, BLOCK):
        column = first + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row + column, mask=column < N, {INFINITE})
        higher = tl.maximum(largest, tl.max(x, axis=0), propagate_nan=tl.PropagateNan.ALL)
        {RESCALE}
        total += tl.sum(tl.exp(x - higher), axis=0)
        largest = higher
    for first in tl.range(0, N, BLOCK):
        column = first + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row + column, mask=column < N, {INFINITE})
        tl.store(out_ptr + row + column, tl.exp(x - largest) / total, mask=column < N)
"""
ONLINE = changed((BODY, BLOCK_BY_BLOCK), (BLOCK, "BLOCK=min(triton.next_power_of_2(N), 1024)"))
DOWN_THE_COLUMN = """\
    offset = column * N + tl.program_id(0)
    inside = column < ROWS
"""

FAULTS = (
    planted("no-shift", "takes exponentials of x itself", changed((SHIFTED, "shifted = x"))),
    planted(
        "zero-in-the-maximum",
        "shifts a row that is no power of two long by zero, if all of it is negative",
        changed((SHIFTED, "shifted = x - tl.max(tl.where(inside, x, 0.0), axis=0)")),
    ),
    planted(
        "padding-in-the-sum",
        "loads zeros behind the end of the row, and sums their exponentials",
        changed((INFINITE, "other=0.0")),
    ),
    planted(
        "down-the-columns",
        "normalises columns",
        changed(
            ("N, BLOCK: tl", "N, ROWS, BLOCK: tl"),
            (OFFSET + "    inside = column < N\n", DOWN_THE_COLUMN),
            ("[(rows,)](x, out, N, ", "[(N,)](x, out, N, rows, "),
            (BLOCK, "BLOCK=triton.next_power_of_2(rows)"),
        ),
    ),
    planted(
        "tail-of-long-rows",
        "leaves out what is behind the 8192nd element",
        changed((BLOCK, "BLOCK=min(triton.next_power_of_2(N), 8192)")),
    ),
    planted(
        "last-of-the-block",
        "leaves the last element of a full block out of the sum",
        changed((SUM, "tl.sum(tl.where(column < BLOCK - 1, powers, 0.0), axis=0)")),
    ),
    planted(
        "half-exponentials",
        "keeps the exponentials in float16",
        changed((POWERS, f"{POWERS}.to(tl.float16).to(tl.float32)")),
    ),
    planted(
        "online-without-rescaling",
        "sums block by block, and leaves the sum as it is where a later block holds a larger element",
        base.changed((RESCALE, "total = total * 1.0"), source=ONLINE),
    ),
    planted(
        "nan-lost-in-a-clamp",
        "clamps exponents against underflow, and NaN with them",
        changed(
            (POWERS, "powers = tl.exp(tl.maximum(shifted, -80.0))"),
            (SUM, "tl.sum(tl.where(inside, powers, 0.0), axis=0)"),
        ),
    ),
    planted(
        "short-constant",
        "takes exponentials to base two with a constant of four digits",
        changed((POWERS, "powers = tl.exp2(shifted * 1.4427)")),
    ),
    planted(
        "epsilon-in-the-sum",
        "adds 1e-6 to the sum against a division by zero that cannot be",
        changed((QUOTIENT, f"powers / ({SUM} + 1e-6)")),
    ),
)
"""Of the shift, the sum, the ends of a row and of a block, precision, NaN."""

ALIKES = (
    look_alike(
        "base-two",
        "takes exponentials to base two, as attention kernels do",
        changed((POWERS, "powers = tl.exp2(shifted * 1.4426950408889634)")),
    ),
    look_alike("block-by-block", "reads a row twice, in blocks of 1024, with a running sum", ONLINE),
    look_alike(
        "reciprocal",
        "multiplies by one over the sum",
        changed((QUOTIENT, f"powers * (1.0 / {SUM})")),
    ),
)
"""Other ways to the same values, with other rounding."""
