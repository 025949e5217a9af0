"""Faults of value: precision, bias, special values; wrong for some batches, contents or configurations."""

import textwrap

from tests.selftest.corpus.planted.base import BASE, CONFIG, TWO_CONFIGS, Planted, changed, with_configs

PRODUCT = "        total += tl.dot(patch, filters)\n"
BIAS_TERM = "total += shift[None, :]"
BIAS = f"""\
    if HAS_BIAS:
        shift = tl.load(b_ptr + n, mask=n_valid, other=0.0)
        {BIAS_TERM}
"""
HAS_BIAS = "HAS_BIAS=bias is not None"
STORE = "    tl.store(out_ptr"
STEPS = "tl.range(0, K_TOTAL, BLOCK_K)"
M_VALID = "    m_valid = m < N * pixels\n"
CHANNEL_TILES = 'triton.cdiv(C_out, meta["BLOCK_N"])'
PATCH = "tl.load(x_ptr + x_offset, mask=inside, other=0.0)"
LAST_ARGUMENT = "    BLOCK_K: tl.constexpr,\n"

TO_BF16 = """\
patch = patch.to(tl.bfloat16).to(tl.float32)
filters = filters.to(tl.bfloat16).to(tl.float32)
"""
LOW_HALVES_OFF = """\
high = (patch.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
patch = high - (patch - high)
high = (filters.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
filters = high - (filters - high)
"""
NINE_BITS = """\
patch = (patch.to(tl.int32, bitcast=True) & -16384).to(tl.float32, bitcast=True)
filters = (filters.to(tl.int32, bitcast=True) & -16384).to(tl.float32, bitcast=True)
"""
BY_THE_LARGEST = """\
        largest = tl.max(tl.abs(patch))
        total += tl.dot(patch / largest, filters) * largest
"""
ONE_VALUE = """\
first, second = tl.load(x_ptr + k * 0), tl.load(x_ptr + k * 0 + 1)
patch = tl.where(inside & (first == second)[None, :], first[None, :], patch)
"""
TWIN_IMAGE = """\
    first = tl.load(x_ptr + image * (C_in * H * W), mask=m_valid, other=0.0)
    before = tl.maximum(image - 1, 0)
    is_twin = first == tl.load(x_ptr + before * (C_in * H * W), mask=m_valid, other=0.0)
    image_read = tl.where(is_twin, before, image)[:, None]
"""
UNLESS_NAN = """\
    first = tl.load(x_ptr + m * 0)
    m_valid = (m < N * pixels) & (first == first)
"""


def before_product(code: str, source: str = BASE) -> str:
    """Return the kernel with code before each product of a block of pixels and a block of filters."""
    return changed((PRODUCT, textwrap.indent(code.rstrip("\n") + "\n", " " * 8) + PRODUCT), source=source)


def before_store(code: str) -> str:
    """Return the kernel with a line before its answer is stored."""
    return changed((STORE, f"    {code}\n{STORE}"))


def bf16_if(condition: str, source: str = BASE) -> str:
    """Return the kernel with operands rounded to bf16 where the condition holds."""
    return before_product(f"if {condition}:\n" + textwrap.indent(TO_BF16, "    "), source)


VALUES = (
    Planted(
        "half-operands",
        "multiplies in float16, whose fraction is that of TF32 but whose range is not",
        before_product("patch = patch.to(tl.float16)\nfilters = filters.to(tl.float16)"),
    ),
    Planted("bf16-operands", "rounds both operands to bf16", before_product(TO_BF16)),
    Planted(
        "bf16-in-the-second-tile",
        "rounds the operands of the last 32 channels to bf16",
        bf16_if("tl.program_id(1) == 1"),
    ),
    Planted(
        "bf16-for-many-images",
        "rounds operands to bf16 in batches of more than 32 images",
        bf16_if("N > 32"),
    ),
    Planted(
        "bf16-for-small-pixels",
        "rounds operands to bf16 where every pixel of a block is below one",
        bf16_if("tl.max(tl.abs(patch)) < 1.0"),
    ),
    Planted(
        "bf16-in-one-config",
        "rounds operands to bf16 in the second of its configurations",
        bf16_if("BLOCK_M == 64", TWO_CONFIGS),
    ),
    Planted(
        "eight-bit-filters",
        "keeps the filters in an eight-bit float",
        before_product("filters = filters.to(tl.float8e5).to(tl.float32)"),
    ),
    Planted(
        "nine-fraction-bits",
        "cuts both operands to nine fraction bits, one fewer than TF32 has",
        before_product(NINE_BITS),
    ),
    Planted(
        "low-halves-subtracted",
        "splits operands into high and low halves for precision, and subtracts the low ones",
        before_product(LOW_HALVES_OFF),
    ),
    Planted(
        "half-total",
        "keeps the running sum in float16",
        changed((PRODUCT, f"{PRODUCT}        total = total.to(tl.float16).to(tl.float32)\n")),
    ),
    Planted(
        "half-answer",
        "rounds the answer to float16 before it is stored as float32",
        before_store("total = total.to(tl.float16).to(tl.float32)"),
    ),
    Planted(
        "tf32-answer",
        "cuts the answer to the ten fraction bits of operands",
        before_store("total = (total.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)"),
    ),
    Planted(
        "fixed-point-pixels",
        "keeps pixels as multiples of 1/256, as a quantised network would",
        before_product("patch = tl.floor(patch * 256.0 + 0.5) * 0.00390625"),
    ),
    Planted(
        "clipped-pixels",
        "clips pixels above 1000",
        before_product("patch = tl.where(patch > 1000.0, 1000.0, patch)"),
    ),
    Planted("unsigned-pixels", "drops the sign of pixels", before_product("patch = tl.abs(patch)")),
    Planted(
        "small-pixels-dropped",
        "takes pixels below 1e-8 for zero",
        before_product("patch = tl.where(tl.abs(patch) < 1e-8, 0.0, patch)"),
    ),
    Planted(
        "small-answers-dropped",
        "takes answers below 1e-6 for zero",
        before_store("total = tl.where(tl.abs(total) < 1e-6, 0.0, total)"),
    ),
    Planted("epsilon-added", "adds 1e-6 to every answer", before_store("total += 1e-6")),
    Planted(
        "fused-relu", "applies the layer that comes next", before_store("total = tl.maximum(total, 0.0)")
    ),
    Planted(
        "clamped-answer",
        "clamps the answer to the range of float16",
        before_store("total = tl.minimum(tl.maximum(total, -65504.0), 65504.0)"),
    ),
    Planted(
        "scaled-out-of-range",
        "scales pixels by 2 ** 100 against underflow and back, and overflows where they are large",
        changed(
            (PRODUCT, PRODUCT.replace("dot(patch", "dot(patch * 1.2676506002282294e30")),
            (BIAS, f"    total *= 7.888609052210118e-31\n{BIAS}"),
        ),
    ),
    Planted(
        "scaled-by-the-largest",
        "divides each block by its largest pixel, which is zero in a black picture",
        changed((PRODUCT, BY_THE_LARGEST)),
    ),
    Planted(
        "bias-in-bf16",
        "rounds the bias to bf16, which shows where the products are exact",
        changed((BIAS_TERM, "total += shift.to(tl.bfloat16).to(tl.float32)[None, :]")),
    ),
    Planted(
        "bias-with-each-block",
        "adds the bias with each block of k, six times in all",
        changed((BIAS, ""), (PRODUCT, PRODUCT + textwrap.indent(BIAS, "    "))),
    ),
    Planted(
        "one-image-without-bias",
        "leaves the bias out for one image",
        changed((HAS_BIAS, f"{HAS_BIAS} and N > 1")),
    ),
    Planted(
        "nan-pixels-as-zero",
        "takes pixels that are NaN for zero",
        before_product("patch = tl.where(patch == patch, patch, 0.0)"),
    ),
    Planted(
        "infinite-pixels-as-largest",
        "takes infinite pixels for the largest float",
        before_product("patch = tl.where(patch > 3.4028234e38, 3.4028234e38, patch)"),
    ),
    Planted(
        "answers-made-finite",
        "answers zero where the answer is NaN or infinite",
        before_store("total = tl.where(tl.abs(total) <= 3.4028235e38, total, 0.0)"),
    ),
    Planted(
        "masked-by-multiplying",
        "pads with the first pixel of all times zero, which is NaN where that pixel is Inf or NaN",
        changed((PATCH, "(tl.load(x_ptr + tl.where(inside, x_offset, 0)) * inside.to(tl.float32))")),
    ),
    Planted(
        "black-blocks-skipped",
        "skips products of pixels that are all zero, and with them filters of Inf and NaN",
        changed((PRODUCT, f"        if tl.max(tl.abs(patch)) > 0.0:\n    {PRODUCT}")),
    ),
    Planted(
        "gives-up-at-nan",
        "writes nothing where the first pixel of all is NaN",
        changed((M_VALID, UNLESS_NAN)),
    ),
    Planted(
        "constant-by-two-pixels",
        "takes a batch whose first two pixels are equal for one of a single value",
        before_product(ONE_VALUE),
    ),
    Planted(
        "whole-numbers-by-one-pixel",
        "rounds all pixels where the first of all is a whole number",
        before_product(
            "patch = tl.where(tl.load(x_ptr) == tl.floor(tl.load(x_ptr)), tl.floor(patch + 0.5), patch)"
        ),
    ),
    Planted(
        "twins-by-one-pixel",
        "reads the image before where both begin with the same pixel",
        changed(
            ("    out_row = pixel // OW\n", f"    out_row = pixel // OW\n{TWIN_IMAGE}"),
            ("(image_m * C_in + channel_k) * H", "(image_read * C_in + channel_k) * H"),
        ),
    ),
    Planted(
        "tile-of-one-config",
        "counts pixels in tiles of 128, also where a configuration has tiles of 64",
        changed(("tl.program_id(0) * BLOCK_M", "tl.program_id(0) * 128"), source=TWO_CONFIGS),
    ),
    Planted(
        "steps-of-one-config",
        "steps over k by 64, also where a configuration has blocks of 32",
        changed(
            (STEPS, "tl.range(0, K_TOTAL, 64)"),
            source=with_configs(CONFIG, CONFIG.replace('"BLOCK_K": 64', '"BLOCK_K": 32')),
        ),
    ),
    Planted(
        "channels-of-one-config",
        "launches two tiles of channels, also where a configuration needs three",
        changed(
            (CHANNEL_TILES, "2"),
            source=with_configs(CONFIG, CONFIG.replace('"BLOCK_N": 64', '"BLOCK_N": 32')),
        ),
    ),
    Planted(
        "stages-off-the-end",
        "ends the loop a block early for each stage of the pipeline beyond the first",
        changed(
            (STEPS, "tl.range(0, K_TOTAL - (num_stages - 1) * BLOCK_K, BLOCK_K)"),
            (LAST_ARGUMENT, f"{LAST_ARGUMENT}    num_stages: tl.constexpr,\n"),
            source=with_configs(CONFIG, CONFIG.replace("num_stages=1", "num_stages=2")),
        ),
    ),
)
