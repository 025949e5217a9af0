"""What is planted in conv3x3: faults of its own, and honest kernels that look like them."""

import textwrap
from functools import partial

from tests.selftest.corpus.planted import base
from tests.selftest.corpus.planted.base import LookAlike, Planted

SOURCE = (base.KERNELS / "conv3x3_original.py").read_text(encoding="utf-8")
changed = partial(base.changed, source=SOURCE)
planted, look_alike = partial(Planted, operation="conv3x3"), partial(LookAlike, operation="conv3x3")

STEPS = "tl.range(0, 9 * (C_IN // BLOCK_K))"
PRODUCT = "        total += tl.dot(patch, filters)\n"
BIAS = """\
    if HAS_BIAS:
        total += tl.load(b_ptr + n)[None, :]
"""
CORNER = "corner = image * (C_IN * PIXELS) + (row - 1) * SIZE + column - 1"
READ = "place[:, None] + k[None, :] * PIXELS"
TAPS = "weight.permute(2, 3, 1, 0).contiguous()"
TILES = 'triton.cdiv(N * size * size, meta["BLOCK_M"])'
CALL = "triton_conv3x3(x, self.conv.weight, self.conv.bias)"
RETURN = f"        return {CALL}\n"
BF16 = """\
        patch = patch.to(tl.bfloat16).to(tl.float32)
        filters = filters.to(tl.bfloat16).to(tl.float32)
"""
PACKED = """\
        if not hasattr(self, "packed"):
            self.packed = self.conv.weight.detach().clone()
"""

NEAREST = """\
        y, x = tl.minimum(tl.maximum(y, 0), SIZE - 1), tl.minimum(tl.maximum(x, 0), SIZE - 1)
        place = tl.minimum(image, N - 1) * (C_IN * PIXELS) + y * SIZE + x
"""

FAULTS = (
    planted(
        "wraps-into-the-next-row",
        "reads the next row where it should pad on the right",
        changed((" & (x >= 0) & (x < SIZE)", " & (x >= 0)")),
    ),
    planted(
        "padding-on-one-side",
        "pads below and on the right alone",
        changed(
            (CORNER, CORNER.replace("(row - 1)", "row").replace("column - 1", "column")),
            ("row + down - 1, column + right - 1", "row + down, column + right"),
        ),
    ),
    planted(
        "taps-transposed", "swaps rows and columns of filters", changed((TAPS, TAPS.replace("2, 3", "3, 2")))
    ),
    planted(
        "taps-flipped",
        "convolves, where PyTorch correlates",
        changed(("(tap * C_IN + k[:, None])", "((8 - tap) * C_IN + k[:, None])")),
    ),
    planted(
        "channels-last-stride",
        "takes x for channels_last",
        changed(
            (CORNER, CORNER.replace("(C_IN * PIXELS)", "PIXELS")),
            (READ, "place[:, None] * C_IN + k[None, :]"),
        ),
    ),
    planted(
        "last-channels",
        "ends the sum a block early",
        changed((STEPS, STEPS.replace("BLOCK_K))", "BLOCK_K) - 1)"))),
    ),
    planted(
        "bias-with-each-tap",
        "adds the bias with each block of the sum",
        changed((BIAS, ""), (PRODUCT, PRODUCT + textwrap.indent(BIAS, "    "))),
    ),
    planted(
        "half-total",
        "keeps the sum in float16",
        changed((PRODUCT, f"{PRODUCT}        total = total.to(tl.float16).to(tl.float32)\n")),
    ),
    planted("bf16-operands", "rounds both operands to bf16", changed((PRODUCT, BF16 + PRODUCT))),
    planted(
        "packed-for-good",
        "keeps the filters of the first call",
        changed((RETURN, PACKED + RETURN), (CALL, CALL.replace("self.conv.weight", "self.packed"))),
    ),
    planted(
        "last-tile-of-odd-batches",
        "rounds the number of tiles down: every second image ends within one",
        changed((TILES, 'N * size * size // meta["BLOCK_M"]')),
    ),
    planted(
        "place-by-float",
        "finds its place in x in float32, which has 24 bits",
        changed((CORNER, CORNER.replace("= image", "= (image.to(tl.float32)") + ").to(tl.int32)")),
    ),
)
"""Of borders, taps, channels, bias, precision, state, large batches."""

ALIKES = (
    look_alike(
        "taps-within-channels",
        "sums all taps of a block of channels, then the next block",
        changed(
            ("tap = step // (C_IN // BLOCK_K)", "tap = step % 9"),
            ("k = (step % (C_IN // BLOCK_K)) * BLOCK_K", "k = step // 9 * BLOCK_K"),
        ),
    ),
    look_alike(
        "nearest-pixel",
        "reads the nearest pixel in place of padding, and multiplies zero instead",
        changed(
            (
                "        place = corner + down * SIZE + right\n",
                NEAREST,
            ),
            (f"tl.load(x_ptr + {READ}, mask=valid[:, None], other=0.0)", f"tl.load(x_ptr + {READ})"),
            (PRODUCT, f"        patch = tl.where(valid[:, None], patch, 0.0)\n{PRODUCT}"),
        ),
    ),
    look_alike(
        "bias-first",
        "begins the sum with the bias",
        changed(
            (BIAS, ""),
            (
                "    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)\n",
                "    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)\n" + BIAS,
            ),
        ),
    ),
)
"""Other orders of sums, other ways to pad."""
