"""Faults of place: the right arithmetic on the wrong pixel, filter, channel or output element."""

from tests.selftest.corpus.planted.base import Planted, changed

TILE_START, TILE_CHANNELS = "tl.program_id(0) * BLOCK_M", "tl.program_id(1) * BLOCK_N"
IMAGE, PIXEL = "image = m // pixels", "pixel = m % pixels"
LEFT = "left = out_col_m * stride_w"
LOADED_FROM = "((image_m * C_in + channel_k) * H + row) * W + col"
STORED_AT = "((image_m * C_out + channel_n) * OH + out_row_m) * OW + out_col_m"
TILE = "    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)\n"
LOOP = "    for k_start in tl.range(0, K_TOTAL, BLOCK_K):\n"
FILTERS = "tl.load(w_ptr + (channel_n * K_TOTAL + k_rows), mask=w_valid, other=0.0)"
PRODUCT = "        total += tl.dot(patch, filters)\n"

BYTES_DECODED = """\
    bytes_an_image = tl.full((1,), pixels * C_out * 4, tl.uint32)
    image = (m.to(tl.uint32) * (C_out * 4) // bytes_an_image).to(tl.int32)
"""
IN_GROUPS = """\
    pid = tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    in_group = 8 * tl.num_programs(1)
    m = (pid // in_group * 8 + pid % 8) * BLOCK_M + tl.arange(0, BLOCK_M)
"""
THERE_AND_BACK = """\
    back = tl.num_programs(0) - tl.program_id(0)
    tile = tl.where(tl.program_id(1) % 2 == 1, back, tl.program_id(0))
    m = tile * BLOCK_M + tl.arange(0, BLOCK_M)
"""
FIRST_FILTERS = f"""\
    k_rows = tl.arange(0, BLOCK_K)[:, None]
    w_valid = (k_rows < K_TOTAL) & (channel_n < C_out)
    filters = {FILTERS}
"""
PROMISE = """\
    out_offset = tl.multiple_of(tl.max_contiguous(out_offset, [4, 1]), [4, 1])
"""

INDEX = (
    Planted(
        "last-column-as-padding",
        "takes the last column of the image for padding",
        changed(("(col < W)", "(col < W - 1)")),
    ),
    Planted(
        "first-row-as-padding",
        "takes the first row of the image for padding",
        changed(("(row >= 0)", "(row > 0)")),
    ),
    Planted(
        "row-before-as-padding",
        "reads the end of the row before where the left padding should be",
        changed(("(col >= 0) & ", "")),
    ),
    Planted(
        "edge-pixels-as-padding",
        "repeats the pixels of the edge instead of padding with zeros",
        changed(
            ("top + tap_row[None, :]", "tl.minimum(tl.maximum(top + tap_row[None, :], 0), H - 1)"),
            ("left + tap_col[None, :]", "tl.minimum(tl.maximum(left + tap_col[None, :], 0), W - 1)"),
        ),
    ),
    Planted(
        "padding-of-one-row",
        "pads one row at the top instead of two, so that every window lies one row too low",
        changed(("stride_h - pad_h", "stride_h - pad_h + 1")),
    ),
    Planted(
        "every-other-column",
        "computes every other column of the output and repeats it beside itself",
        changed((LEFT, "left = out_col_m // 2 * 2 * stride_w")),
    ),
    Planted(
        "filters-mirrored",
        "convolves as a textbook does, with the filter's rows and columns reversed",
        changed(("= tap // KW", "= KH - 1 - tap // KW"), ("= tap % KW", "= KW - 1 - tap % KW")),
    ),
    Planted(
        "taps-transposed",
        "exchanges the rows and columns of the window",
        changed(("tap // KW", "tap_of % KW"), ("tap % KW", "tap // KW"), ("tap_of", "tap")),
    ),
    Planted(
        "colours-innermost",
        "decodes k as if the colours were the innermost axis of the filters",
        changed(("k // window", "k % C_in"), ("k % window", "k // C_in")),
    ),
    Planted(
        "colours-reversed",
        "reads blue, green, red where the filters hold red, green, blue",
        changed(("channel = k // window", "channel = C_in - 1 - k // window")),
    ),
    Planted(
        "one-colour",
        "reads the first colour for all three: grey pictures come out right",
        changed((LOADED_FROM, LOADED_FROM.replace("image_m * C_in + channel_k", "image_m * C_in"))),
    ),
    Planted(
        "colour-decoded-once-a-block",
        "takes the colour of a block's first k for that of the whole block",
        changed(
            ("channel = k // window", "channel = k_start // window + tl.zeros_like(k)"),
            ("tap = k % window", "tap = k - channel * window"),
        ),
    ),
    Planted(
        "pixels-read-as-nhwc",
        "reads the image as if its colours were the innermost axis",
        changed((LOADED_FROM, "((image_m * H + row) * W + col) * C_in + channel_k")),
    ),
    Planted(
        "answer-written-as-nhwc",
        "writes the output with its channels as the innermost axis",
        changed((STORED_AT, "((image_m * OH + out_row_m) * OW + out_col_m) * C_out + channel_n")),
    ),
    Planted(
        "answer-transposed",
        "writes rows of the output as columns",
        changed((STORED_AT, "((image_m * C_out + channel_n) * OW + out_col_m) * OH + out_row_m")),
    ),
    Planted(
        "filters-read-transposed",
        "reads the filters as if they were stored with the output channels innermost",
        changed(("channel_n * K_TOTAL + k_rows", "k_rows * C_out + channel_n")),
    ),
    Planted(
        "filters-of-the-first-tile",
        "wraps the filter's number at the block size: the second tile takes the filters of the first",
        changed((FILTERS, FILTERS.replace("channel_n * K", "channel_n % BLOCK_N * K"))),
    ),
    Planted(
        "bias-of-the-first-tile",
        "indexes the bias within the tile: the second tile of channels takes the bias of the first",
        changed(("tl.load(b_ptr + n, ", "tl.load(b_ptr + tl.arange(0, BLOCK_N), ")),
    ),
    Planted(
        "image-decoded-once-a-tile",
        "takes the image of a tile's first pixel for that of the whole tile, which may straddle two",
        changed(
            (IMAGE, f"image = {TILE_START} // pixels + tl.zeros_like(m)"),
            (PIXEL, "pixel = m - image * pixels"),
        ),
    ),
    Planted(
        "image-by-a-rounded-reciprocal",
        "divides by multiplying with a reciprocal of five digits, right for the first seven images",
        changed((IMAGE, "image = ((m.to(tl.float32) + 0.5) * 0.00033057).to(tl.int32)")),
        gpu_only="tiles trade places all over the batch: only when all run is it seen that one is left out",
    ),
    Planted(
        "image-by-a-magic-number",
        "divides by a multiplication and a shift whose product overflows from the 17th image on",
        changed((IMAGE, "image = ((m.to(tl.uint32) * 88739) >> 28).to(tl.int32)")),
    ),
    Planted(
        "image-in-eight-bits",
        "keeps the number of the image in eight bits, which end at the 257th image",
        changed((IMAGE, f"{IMAGE.replace('m // pixels', '(m // pixels)')}.to(tl.uint8).to(tl.int32)")),
    ),
    Planted(
        "tile-in-sixteen-bits",
        "keeps the number of the tile in sixteen bits, which end at 2774 images",
        changed((TILE_START, "tl.program_id(0).to(tl.uint16).to(tl.int32) * BLOCK_M")),
    ),
    Planted(
        "bytes-in-32-bits",
        "decodes the image from a count of output bytes that overflows 32 bits from 3698 images on",
        changed((f"    {IMAGE}\n", BYTES_DECODED)),
    ),
    Planted(
        "measured-batch-only",
        "interleaves the images of batches divisible by 16, with a stride that only 256 images have",
        changed(
            (IMAGE, "image = tl.where(N % 16 == 0, m % 16 * 16 + m // (16 * pixels), m // pixels)"),
            (PIXEL, "pixel = tl.where(N % 16 == 0, m // 16 % pixels, m % pixels)"),
            ("valid_m = m_valid[:, None]", "valid_m = (m_valid & (image < N))[:, None]"),
        ),
    ),
    Planted(
        "last-group-of-tiles",
        "walks the tiles in groups of eight and takes the last group for a whole one, as 3 images show",
        changed(
            (TILE, IN_GROUPS),
            (TILE_CHANNELS, "(pid % in_group // 8) * BLOCK_N"),
        ),
    ),
    Planted(
        "way-back-off-by-one",
        "walks the second tile of channels backwards from one tile too far",
        changed((TILE, THERE_AND_BACK)),
    ),
    Planted(
        "last-prefetch-left-out",
        "loads filters one step ahead but stops a step early: the last block takes those before it",
        changed(
            (f"\n{PRODUCT}", ""),
            (LOOP, FIRST_FILTERS + LOOP),
            ("        # A filter is K", f"{PRODUCT}        # A filter is K"),
            ("        k_rows = k[:, None]\n", "        k_rows = k[:, None] + BLOCK_K\n"),
            ("        filters = tl", "        if k_start + 2 * BLOCK_K < K_TOTAL:\n            filters = tl"),
        ),
    ),
    Planted(
        "alignment-promised",
        "promises aligned groups of four output elements, where odd channels start in the middle of one",
        changed(("    tl.store(", f"{PROMISE}    tl.store(")),
        gpu_only="the interpreter takes no notice of what is promised to the compiler",
    ),
)
