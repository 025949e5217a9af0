"""Honest kernels that cut the product, the grid or the sums in another way."""

import textwrap

from tests.selftest.corpus.planted.base import BASE, LookAlike, changed, with_configs

ROWS = "    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)\n"
COLUMNS = "    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)\n"
STEPS = "    for k_start in tl.range(0, K_TOTAL, BLOCK_K):\n"
K = "k = k_start + tl.arange(0, BLOCK_K)"
K_VALID = "k_valid = k < K_TOTAL"
W_VALID = "w_valid = (k_rows < K_TOTAL)"
PATCH = "        patch = tl.load(x_ptr + x_offset, mask=inside, other=0.0).to(tl.float32)\n"
FILTERS = "tl.load(w_ptr + (channel_n * K_TOTAL + k_rows), mask=w_valid, other=0.0).to(tl.float32)\n"
PRODUCT = "tl.dot(patch, filters)"
STORE = "    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))\n"
TILES = 'triton.cdiv(N * OH * OW, meta["BLOCK_M"])'
PANELS = 'triton.cdiv(C_out, meta["BLOCK_N"])'
GRID = f"        return {TILES}, {PANELS}\n"
KERNEL_END = "\n\ndef triton_conv2d_nchw("
COMMENT = "\n\n# Rows of the product"
ZEROS = "    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)\n"
BIAS = """\
    if HAS_BIAS:
        shift = tl.load(b_ptr + n, mask=n_valid, other=0.0)
        total += shift[None, :]
"""

ROWS_OF_AN_IMAGE = """\
    pixel = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    m = tl.program_id(2) * (OH * OW) + pixel
"""
ROWS_IN_GROUPS = """\
    tiles_m, tiles_n = tl.cdiv(N * OH * OW, BLOCK_M), tl.cdiv(C_out, BLOCK_N)
    first = tl.program_id(0) // (8 * tiles_n) * 8
    height = min(tiles_m - first, 8)
    inner = tl.program_id(0) % (8 * tiles_n)
    m = (first + inner % height) * BLOCK_M + tl.arange(0, BLOCK_M)
"""
ALL_TILES = """\
    tiles = tl.cdiv(N * OH * OW, BLOCK_M) * tl.cdiv(C_out, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True):
"""
GRID_OF_MULTIPROCESSORS = f"""\
        tiles = {TILES} * {PANELS}
        properties = torch.cuda.get_device_properties(x.device)
        return (min(tiles, properties.multi_processor_count),)
"""
LEAVES_IF_SPARE = """\
    if tl.program_id(0) * BLOCK_M >= N * OH * OW:
        return
"""
K_IN_A_PLANE = """\
inner = k_start + tl.arange(0, BLOCK_K)
            k = plane * window + inner"""
BACKWARDS = """\
    for step in tl.range(0, tl.cdiv(K_TOTAL, BLOCK_K)):
        k_start = (tl.cdiv(K_TOTAL, BLOCK_K) - 1 - step) * BLOCK_K
"""
STORE_TRANSPOSED = """\
    written = tl.trans(valid_m & (channel_n < C_out))
    tl.store(out_ptr + tl.trans(out_offset), total, mask=written)
"""
BIAS_AS_FILTERS = """\
        if HAS_BIAS:
            last = (k_rows == K_TOTAL) & (channel_n < C_out)
            filters += tl.load(b_ptr + channel_n + 0 * k_rows, mask=last, other=0.0)
"""
NEAREST_PIXEL = """\
tl.minimum(image_m, N - 1) * C_in + tl.minimum(channel_k, C_in - 1)) * H
        x_offset = (x_offset + tl.minimum(tl.maximum(row, 0), H - 1)) * W
        x_offset += tl.minimum(tl.maximum(col, 0), W - 1)
"""
BLOCK_POINTER = """\
    first = tl.program_id(1) * BLOCK_N
    block = tl.make_block_ptr(w_ptr, (K_TOTAL, C_out), (1, K_TOTAL), (0, first), (BLOCK_K, BLOCK_N), (0, 1))
"""
LOAD_BLOCK = """\
tl.load(block, boundary_check=(0, 1), padding_option="zero")
        block = tl.advance(block, (BLOCK_K, 0))
"""
HINTED = """\
    n = tl.max_contiguous(tl.multiple_of(n, BLOCK_N), BLOCK_N)
    tl.assume(N > 0)
"""
HELPERS = """

@triton.jit
def split(value, size):
    return value // size, value % size


@triton.jit
def read(ptr, offset, mask):
    return tl.load(ptr + offset, mask=mask, other=0.0)
"""
CONSTANTS = "\n\nWIDTH = tl.constexpr(11)\nWINDOW = tl.constexpr(11 * 11)\n"
HEURISTICS = """\
@triton.heuristics({"K_STEPS": lambda args: triton.cdiv(args["K_TOTAL"], args["BLOCK_K"])})
@triton.jit(do_not_specialize=["N"])
"""


def config(block_m: int, block_n: int, block_k: int, num_warps: int = 8, num_stages: int = 1) -> str:
    """Return the line of one configuration."""
    blocks = f'{{"BLOCK_M": {block_m}, "BLOCK_N": {block_n}, "BLOCK_K": {block_k}}}'
    return f"        triton.Config({blocks}, num_warps={num_warps}, num_stages={num_stages}),\n"


def under(header: str, first: str, end: str, source: str = BASE) -> str:
    """Return the source with the header put over its lines from `first` up to `end`, which move in by one."""
    before, found, rest = source.partition(first)
    body, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the kernel no longer holds {first!r} before {end!r}")
    return before + header + textwrap.indent(first + body, "    ") + end + after


TILINGS = (
    LookAlike("sixteen-pixels", "tiles of 16 pixels by 128 channels", with_configs(config(16, 128, 128, 4))),
    LookAlike("sixteen-channels", "tiles of 128 pixels by 16 channels", with_configs(config(128, 16, 128))),
    LookAlike(
        "short-steps", "23 steps of 16 products, in four stages", with_configs(config(128, 128, 16, 8, 4))
    ),
    LookAlike(
        "several-configs",
        "three configurations that differ in blocks, warps and stages",
        with_configs(config(128, 64, 64), config(64, 128, 32, 4, 2), config(256, 32, 32, 4, 3)),
    ),
    LookAlike(
        "grid-swapped",
        "the grid runs over channels first; its second axis counts tiles of 512 pixels",
        changed(
            (ROWS, ROWS.replace("program_id(0)", "program_id(1)")),
            (COLUMNS, COLUMNS.replace("program_id(1)", "program_id(0)")),
            (GRID, f"        return {PANELS}, {TILES}\n"),
            source=with_configs(config(512, 32, 32)),
        ),
    ),
    LookAlike(
        "grid-flat",
        "a grid of one axis, channels fastest, given as a tuple",
        changed(
            (ROWS, ROWS.replace("tl.program_id(0)", "(tl.program_id(0) // 3)")),
            (COLUMNS, COLUMNS.replace("tl.program_id(1)", "(tl.program_id(0) % 3)")),
            (f"    def grid(meta):\n{GRID}", "    grid = (triton.cdiv(N * OH * OW, 128) * 3,)\n"),
            source=with_configs(config(128, 32, 64)),
        ),
    ),
    LookAlike(
        "grid-of-images",
        "a grid of three axes, the last over images; no tile crosses an image",
        changed(
            (ROWS, ROWS_OF_AN_IMAGE),
            ("m_valid = m < N * pixels", "m_valid = pixel < pixels"),
            ("    tl.multiple_of(m, BLOCK_M)\n", ""),
            ("    image = m // pixels\n    pixel = m % pixels\n", "    image = tl.program_id(2)\n"),
            ("image_m = image[:, None]", "image_m = image"),
            (GRID, f"        return {TILES.replace('N * ', '')}, {PANELS}, N\n"),
        ),
    ),
    LookAlike(
        "grid-grouped",
        "programs are renumbered in groups of eight rows of tiles",
        changed(
            (ROWS, ROWS_IN_GROUPS),
            (COLUMNS, COLUMNS.replace("tl.program_id(1)", "inner // height")),
            (GRID, f"        return ({TILES} * {PANELS},)\n"),
        ),
    ),
    LookAlike(
        "persistent",
        "as many programs as the GPU has multiprocessors, each looping over tiles in a flattened loop",
        changed(
            (ROWS, ROWS.replace("tl.program_id(0)", "(tile // tl.cdiv(C_out, BLOCK_N))")),
            (COLUMNS, COLUMNS.replace("tl.program_id(1)", "(tile % tl.cdiv(C_out, BLOCK_N))")),
            (GRID, GRID_OF_MULTIPROCESSORS),
            source=under(ALL_TILES, ROWS, KERNEL_END),
        ),
    ),
    LookAlike(
        "spare-programs",
        "the grid has seven rows of programs more than tiles; they leave at once",
        changed((ROWS, LEAVES_IF_SPARE + ROWS), (GRID, GRID.replace(TILES, f"{TILES} + 7"))),
    ),
    LookAlike(
        "row-of-taps",
        "each step is one row of one channel's filter: 11 products in a block of 16",
        changed(
            (STEPS, "    for k_row in tl.range(0, C_in * KH):\n        column = tl.arange(0, BLOCK_K)\n"),
            (K, "k = k_row * KW + column"),
            (K_VALID, "k_valid = column < KW"),
            (W_VALID, "w_valid = k_valid[:, None]"),
            source=with_configs(config(128, 128, 16)),
        ),
    ),
    LookAlike(
        "column-of-taps",
        "each step is one column of every channel's filter: 33 products in a block of 64",
        changed(
            (STEPS, "    for column in tl.range(0, KW):\n        inner = tl.arange(0, BLOCK_K)\n"),
            (K, "k = inner * KW + column"),
            (K_VALID, "k_valid = inner < C_in * KH"),
            (W_VALID, "w_valid = k_valid[:, None]"),
        ),
    ),
    LookAlike(
        "channel-by-channel",
        "two nested loops, over channels and over the taps of one",
        changed(
            ("tl.range(0, K_TOTAL, BLOCK_K)", "tl.range(0, window, BLOCK_K)"),
            (K, K_IN_A_PLANE),
            (K_VALID, "k_valid = inner < window"),
            (W_VALID, "w_valid = k_valid[:, None]"),
            source=under("    for plane in tl.range(0, C_in):\n", STEPS, f"\n{BIAS}"),
        ),
    ),
    LookAlike(
        "no-dot",
        "multiplies by broadcasting and sums with tl.sum",
        changed(
            (PRODUCT, "tl.sum(patch[:, :, None] * filters[None, :, :], axis=1)"),
            source=with_configs(config(128, 32, 16)),
        ),
    ),
    LookAlike("backwards", "the reduction runs from its last step to its first", changed((STEPS, BACKWARDS))),
    LookAlike(
        "three-products",
        'input_precision="tf32x3"',
        changed((PRODUCT, 'tl.dot(patch, filters, input_precision="tf32x3")')),
    ),
    LookAlike(
        "float32-products",
        'input_precision="ieee"',
        changed(
            (PRODUCT, 'tl.dot(patch, filters, input_precision="ieee")'),
            source=with_configs(config(128, 64, 32)),
        ),
    ),
    LookAlike(
        "dot-accumulates",
        "tl.dot adds to the sum itself",
        changed((f"total += {PRODUCT}", 'total = tl.dot(patch, filters, total, input_precision="tf32")')),
    ),
    LookAlike(
        "transposed-tile",
        "the tile has channels for rows, and is stored through transposed offsets",
        changed(
            (ZEROS, ZEROS.replace("(BLOCK_M, BLOCK_N)", "(BLOCK_N, BLOCK_M)")),
            (PRODUCT, "tl.dot(tl.trans(filters), tl.trans(patch))"),
            ("shift[None, :]", "shift[:, None]"),
            (STORE, STORE_TRANSPOSED),
        ),
    ),
    LookAlike(
        "unrolled",
        "tl.static_range unrolls the loop",
        changed((STEPS, STEPS.replace("range", "static_range"))),
    ),
    LookAlike(
        "loop-options",
        "the loop asks for its own stages and for unrolling by two",
        changed(
            ("K_TOTAL, BLOCK_K):", "K_TOTAL, BLOCK_K, num_stages=3, loop_unroll_factor=2):"),
            source=with_configs(config(128, 64, 32, 8, 2)),
        ),
    ),
    LookAlike("bias-first", "the sums start from the bias", changed((BIAS, ""), (ZEROS, ZEROS + BIAS))),
    LookAlike(
        "bias-in-the-product",
        "the bias is one more row of filters, the pixels' factor for it is 1, all in float32",
        changed(
            ("tl.range(0, K_TOTAL, BLOCK_K)", "tl.range(0, K_TOTAL + 1, BLOCK_K)"),
            (PATCH, f"{PATCH}        patch = tl.where(k[None, :] == K_TOTAL, 1.0, patch)\n"),
            (FILTERS, FILTERS + BIAS_AS_FILTERS),
            (BIAS, ""),
            (PRODUCT, 'tl.dot(patch, filters, input_precision="ieee")'),
            source=with_configs(config(128, 64, 32)),
        ),
    ),
    LookAlike(
        "wide-offsets",
        "every offset is a 64-bit integer",
        changed(("tl.program_id(0)", "tl.program_id(0).to(tl.int64)"), ("_id(1)", "_id(1).to(tl.int64)")),
    ),
    LookAlike(
        "clamped-loads",
        "reads without a mask, at the nearest pixel of the image, and then chooses",
        changed(
            ("(image_m * C_in + channel_k) * H + row) * W + col\n", NEAREST_PIXEL),
            (
                "tl.load(x_ptr + x_offset, mask=inside, other=0.0)",
                "tl.where(inside, tl.load(x_ptr + x_offset), 0.0)",
            ),
        ),
    ),
    LookAlike(
        "block-pointer",
        "reads the filters through a block pointer that moves along",
        changed((STEPS, BLOCK_POINTER + STEPS), (FILTERS, LOAD_BLOCK)),
    ),
    LookAlike(
        "hints",
        "true hints on alignment and contiguity, cache modifiers and eviction policies",
        changed(
            ("    tl.multiple_of(n, BLOCK_N)\n", HINTED),
            ("mask=inside, ", 'mask=inside, eviction_policy="evict_first", '),
            ("mask=w_valid, ", 'mask=w_valid, eviction_policy="evict_last", '),
            ("mask=n_valid, ", 'mask=n_valid, cache_modifier=".ca", '),
            ("total, mask=", 'total, cache_modifier=".cs", mask='),
        ),
    ),
    LookAlike(
        "helpers",
        "the kernel calls two other jitted functions, one of which returns a tuple",
        changed(
            (COMMENT, HELPERS + COMMENT),
            ("    image = m // pixels\n    pixel = m % pixels\n", "    image, pixel = split(m, pixels)\n"),
            (PATCH, "        patch = read(x_ptr, x_offset, inside)\n"),
            (FILTERS, "read(w_ptr, channel_n * K_TOTAL + k_rows, w_valid)\n"),
        ),
    ),
    LookAlike(
        "constants",
        "the geometry of the filters is read from constants of the module",
        changed(
            (COMMENT, CONSTANTS + COMMENT),
            ("    window = KH * KW\n", ""),
            ("window", "WINDOW"),
            ("tap // KW", "tap // WIDTH"),
            ("tap % KW", "tap % WIDTH"),
        ),
    ),
    LookAlike(
        "heuristics",
        "the number of steps comes from triton.heuristics, and N is not specialised",
        changed(
            ("@triton.jit\n", HEURISTICS),
            ("    BLOCK_K: tl.constexpr,\n", "    BLOCK_K: tl.constexpr,\n    K_STEPS: tl.constexpr,\n"),
            ("tl.range(0, K_TOTAL, BLOCK_K)", "tl.range(0, K_STEPS * BLOCK_K, BLOCK_K)"),
        ),
    ),
)
