"""What is planted in layernorm: faults of its own, and honest kernels that look like them."""

from functools import partial

from tests.selftest.corpus.planted import base
from tests.selftest.corpus.planted.base import LookAlike, Planted

SOURCE = (base.KERNELS / "layernorm_original.py").read_text(encoding="utf-8")
changed = partial(base.changed, source=SOURCE)
planted, look_alike = partial(Planted, operation="layernorm"), partial(LookAlike, operation="layernorm")

VARIANCE = "variance = tl.sum(centred * centred, axis=0) / WIDTH"
ROOT = "tl.rsqrt(variance + EPSILON)"
NORMAL = f"normal = centred * {ROOT}"
STORED = "normal * weight + bias"
INIT = "        self.norm = nn.LayerNorm(1024)\n"
CALL = "triton_layernorm(x, norm.weight, norm.bias, norm.eps)"
FORWARD = "        norm = self.norm\n"
GRID = "layernorm_kernel[(N,)]"
BODY = SOURCE[SOURCE.index("    column = tl.arange(0, WIDTH)\n") : SOURCE.index("\n\ndef triton_layernorm")]

PADDED_BLOCK = """\
    column = tl.arange(0, 2 * WIDTH)
    offset = tl.program_id(0) * WIDTH + column
    inside = column < WIDTH
    x = tl.load(x_ptr + offset, mask=inside, other=0.0)
    centred = x - tl.sum(x, axis=0) / WIDTH
    variance = tl.sum(centred * centred, axis=0) / WIDTH
    normal = centred * tl.rsqrt(variance + EPSILON)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0)
    bias = tl.load(bias_ptr + column, mask=inside, other=0.0)
    tl.store(out_ptr + offset, normal * weight + bias, mask=inside)
"""
FOUR_ROWS = """\
    column = tl.arange(0, WIDTH)[None, :]
    row = tl.program_id(0) * 4 + tl.arange(0, 4)[:, None]
    offset, inside = row * WIDTH + column, row < N
    x = tl.load(x_ptr + offset, mask=inside, other=0.0)
    centred = x - (tl.sum(x, axis=1) / WIDTH)[:, None]
    variance = (tl.sum(centred * centred, axis=1) / WIDTH)[:, None]
    normal = centred * tl.rsqrt(variance + EPSILON)
    weight, bias = tl.load(weight_ptr + column), tl.load(bias_ptr + column)
    tl.store(out_ptr + offset, normal * weight + bias, mask=inside)
"""
ROWS_BY_FOUR = changed((BODY, FOUR_ROWS), (GRID, "layernorm_kernel[(triton.cdiv(N, 4),)]"))
CHOSEN_BY_ZEROS = """\
    column = tl.arange(0, 4 * WIDTH)
    offset = tl.program_id(0) // 4 * 4 * WIDTH + column
    x = tl.load(x_ptr + offset, mask=offset < N * WIDTH, other=0.0)
    mine = column // WIDTH == tl.program_id(0) % 4
    own = mine.to(tl.float32)
    centred = x - tl.sum(x * own, axis=0) / WIDTH
    variance = tl.sum(centred * centred * own, axis=0) / WIDTH
    normal = centred * tl.rsqrt(variance + EPSILON)
    weight, bias = tl.load(weight_ptr + column % WIDTH), tl.load(bias_ptr + column % WIDTH)
    tl.store(out_ptr + offset, normal * weight + bias, mask=mine)
"""
FOLDED = """\
        if not hasattr(self, "folded"):
            self.folded = norm.weight.detach().clone()
"""

MEAN_OF_SQUARES = """\
    mean = tl.sum(x, axis=0) / WIDTH
    variance = tl.sum(x * x, axis=0) / WIDTH - mean * mean
"""
TWO_SUMS = """\
    first = tl.sum(tl.where(column < WIDTH // 2, x, 0.0), axis=0)
    second = tl.sum(tl.where(column < WIDTH // 2, 0.0, x), axis=0)
    centred = x - (first * (1.0 / WIDTH) + second * (1.0 / WIDTH))
"""

FAULTS = (
    planted("unbiased", "divides the variance by N - 1", changed((VARIANCE, f"{VARIANCE[:-5]}(WIDTH - 1)"))),
    planted(
        "epsilon-outside",
        "adds epsilon to the root of the variance",
        changed((NORMAL, "normal = centred / (tl.sqrt(variance) + EPSILON)")),
    ),
    planted("no-epsilon", "has no epsilon", changed((ROOT, "tl.rsqrt(variance)"))),
    planted(
        "another-epsilon",
        "has an epsilon of 1e-6 of its own",
        changed((ROOT, "tl.rsqrt(variance + 1e-6)")),
    ),
    planted(
        "one-pass",
        "subtracts the square of the mean from the mean of squares",
        changed(
            (f"    {VARIANCE}\n", MEAN_OF_SQUARES),
        ),
    ),
    planted(
        "bias-first", "adds the bias before it multiplies", changed((STORED, "(normal + bias) * weight"))
    ),
    planted(
        "padding-in-the-variance",
        "holds a row in a block twice as wide, and sums the squares of its padding too",
        changed((BODY, PADDED_BLOCK)),
    ),
    planted(
        "half-normal",
        "rounds the normalised values to float16",
        changed((NORMAL, f"{NORMAL}\n    normal = normal.to(tl.float16).to(tl.float32)")),
    ),
    planted(
        "last-rows-left",
        "does four rows a program, and leaves those that are no four",
        base.changed(("triton.cdiv(N, 4)", "max(1, N // 4)"), source=ROWS_BY_FOUR),
    ),
    planted(
        "chosen-by-zeros",
        "reads four rows, and multiplies those by zero that are not its own",
        changed((BODY, CHOSEN_BY_ZEROS)),
    ),
    planted(
        "last-of-the-row",
        "leaves the last element out of the mean",
        changed(
            (
                "x - tl.sum(x, axis=0) / WIDTH",
                "x - tl.sum(tl.where(column < WIDTH - 1, x, 0.0), axis=0) / WIDTH",
            )
        ),
    ),
    planted("no-mean", "normalises by the root mean square", changed(("x - tl.sum(x, axis=0) / WIDTH", "x"))),
    planted(
        "weight-for-good",
        "keeps the weight of the first call",
        changed((FORWARD, FORWARD + FOLDED), (CALL, CALL.replace("norm.weight", "self.folded"))),
    ),
)
"""Of variance and epsilon, the ends of rows and blocks, other rows, parameters, precision."""

ALIKES = (
    look_alike("four-rows", "does four rows a program", ROWS_BY_FOUR),
    look_alike(
        "division",
        "divides by the root",
        changed((NORMAL, "normal = centred / tl.sqrt(variance + EPSILON)")),
    ),
    look_alike(
        "mean-of-halves",
        "sums the row as two halves",
        changed(
            (
                "    centred = x - tl.sum(x, axis=0) / WIDTH\n",
                TWO_SUMS,
            )
        ),
    ),
)
"""Other ways to the same values, with other rounding."""
