"""Faults of extent: what is left out, read beyond the end, written twice or never written."""

import textwrap

from tests.selftest.corpus.planted.base import BASE, TWO_CONFIGS, Planted, changed

TILE_START, TILE_CHANNELS = "tl.program_id(0) * BLOCK_M", "tl.program_id(1) * BLOCK_N"
M_VALID = "m_valid = m < N * pixels"
LOOP = "    for k_start in tl.range(0, K_TOTAL, BLOCK_K):\n"
LOOP_RANGE = "tl.range(0, K_TOTAL, BLOCK_K)"
STORE = "    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))\n"
STORE_MASK = "total, mask=valid_m & (channel_n < C_out)"
ADD = STORE.replace("store", "atomic_add")
PIXEL_TILES = 'triton.cdiv(N * OH * OW, meta["BLOCK_M"])'
CHANNEL_TILES = 'triton.cdiv(C_out, meta["BLOCK_N"])'
UNSET, ZEROS = "out = torch.empty(", "out = torch.zeros("
HINT = "    tl.multiple_of(m, BLOCK_M)\n"
PRODUCT = "        total += tl.dot(patch, filters)\n"
TOTAL = "total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)\n"
WALK = "    for tile in tl.range(tl.program_id(0), tl.cdiv(N * OH * OW, BLOCK_M), tl.num_programs(0)):\n"
LAUNCH = "    conv2d_fwd_kernel[grid](\n        x,\n"

LAUNCH_IN_CHUNKS = """\
    for first in range(0, max(N - N % 128, 1), 128):
        conv2d_fwd_kernel[grid](
        x[first : first + 128],
"""
IN_WHOLE_ROUNDS = """\
    rounds = tl.cdiv(N * OH * OW, BLOCK_M) // tl.num_programs(0)
    for tile in tl.range(tl.program_id(0), rounds * tl.num_programs(0), tl.num_programs(0)):
"""
TILE_OF_AN_IMAGE = """\
    pixels = OH * OW
    tiles = tl.cdiv(pixels, BLOCK_M)
    pixel = tl.program_id(0) % tiles * BLOCK_M + tl.arange(0, BLOCK_M)
    m = tl.program_id(0)"""
STORE_OR_ADD = """\
    here, stored = out_ptr + out_offset, valid_m & (channel_n < C_out)
    if tl.program_id(2) == 0:
        tl.store(here, total, mask=stored)
    else:
        tl.atomic_add(here, total, mask=stored)
"""
OLD_TIMES_ZERO = """\
    total += 0.0 * tl.load(out_ptr + out_offset, mask=valid_m & (channel_n < C_out))
"""
ADD_BY_HAND = """\
    here, stored = out_ptr + out_offset, valid_m & (channel_n < C_out)
    tl.store(here, tl.load(here, mask=stored, other=0.0) + total, mask=stored)
"""


def halves(source: str = BASE) -> str:
    """Return the kernel with K split between two programs, which add their sums to an output of zeros."""
    return changed(
        (LOOP_RANGE, "tl.range(tl.program_id(2) * 192, tl.program_id(2) * 192 + 192, BLOCK_K)"),
        ("mask=n_valid", "mask=n_valid & (tl.program_id(2) == 0)"),
        (STORE, ADD),
        (CHANNEL_TILES, f"{CHANNEL_TILES}, 2"),
        (UNSET, ZEROS),
        source=source,
    )


def persistent() -> str:
    """Return the kernel with 16 programs a tile of channels, each of which walks over tiles of pixels."""
    head, body = BASE.split("    m = tl.program_id(0)", 1)
    body, rest = body.split(STORE)
    body = textwrap.indent(f"    m = tile{body}{STORE}", "    ")
    return changed((PIXEL_TILES, f"min({PIXEL_TILES}, 16)"), source=head + WALK + body + rest)


def tiles_of_an_image() -> str:
    """Return the kernel with tiles that never straddle two images."""
    return changed(
        (M_VALID, "m_valid = pixel < pixels"),
        ("    pixels = OH * OW\n", ""),
        ("    m = tl.program_id(0)", TILE_OF_AN_IMAGE),
        ("    pixel = m % pixels\n", ""),
        ("image = m // pixels", "image = tl.program_id(0) // tiles + tl.zeros_like(m)"),
        (PIXEL_TILES, 'N * triton.cdiv(OH * OW, meta["BLOCK_M"])'),
    )


HALVES = halves()
PERSISTENT = persistent()
TILES_OF_AN_IMAGE = tiles_of_an_image()

MASKS = (
    Planted(
        "last-block-of-k-left-out",
        "sums whole blocks of k only and leaves out the rest",
        changed((LOOP_RANGE, "tl.range(0, K_TOTAL - K_TOTAL % BLOCK_K, BLOCK_K)")),
    ),
    Planted(
        "last-taps-masked",
        "ends the reduction at a multiple of 32, eleven products early",
        changed(("k_valid = k < K_TOTAL", "k_valid = k < K_TOTAL // 32 * 32")),
    ),
    Planted(
        "tail-of-k-unmasked-in-x",
        "multiplies filters of zero with pixels beyond the last colour, which may be NaN or outside x",
        changed((" & k_valid[None, :]", "")),
    ),
    Planted(
        "reads-past-the-filters",
        "reads filters that do not exist for the unused half of the last tile, and stores nothing of it",
        changed(("w_valid = (k_rows < K_TOTAL) & (channel_n < C_out)", "w_valid = k_rows < K_TOTAL")),
    ),
    Planted(
        "reads-past-the-last-image",
        "reads the images of the pixels behind the last one, and stores nothing of it",
        changed(("inside = valid_m & ", "inside = ")),
    ),
    Planted(
        "last-channel-left-out",
        "does not write the last channel",
        changed((STORE_MASK, STORE_MASK.replace("< C_out", "< C_out - 1"))),
    ),
    Planted(
        "channel-grid-too-small",
        "launches whole tiles of channels only",
        changed((CHANNEL_TILES, 'C_out // meta["BLOCK_N"]')),
    ),
    Planted(
        "pixel-grid-too-small",
        "launches whole tiles of pixels only, which are enough where 128 divides the batch",
        changed((PIXEL_TILES, 'N * OH * OW // meta["BLOCK_M"]')),
    ),
    Planted(
        "grid-capped",
        "launches no more than 65535 tiles of pixels, too few from 2774 images on",
        changed((PIXEL_TILES, f"min({PIXEL_TILES}, 65535)")),
    ),
    Planted(
        "grid-on-the-short-axis",
        "counts tiles of pixels on the grid's second axis, which ends at 65535: 2774 images do not start",
        changed(
            (TILE_START, "tl.program_id(1) * BLOCK_M"),
            (TILE_CHANNELS, "tl.program_id(0) * BLOCK_N"),
            (f"{PIXEL_TILES}, {CHANNEL_TILES}", f"{CHANNEL_TILES}, {PIXEL_TILES}"),
        ),
    ),
    Planted(
        "odd-image-left-out",
        "launches tiles for pairs of images: of three the last is never written",
        changed((PIXEL_TILES, PIXEL_TILES.replace("N *", "max(N - N % 2, 1) *"))),
    ),
    Planted(
        "rest-of-the-chunks-left-out",
        "launches once for each 128 images and forgets the rest of a batch that 128 does not divide",
        changed(
            (LAUNCH, LAUNCH_IN_CHUNKS),
            (
                "        out,\n        N,\n",
                "        out[first : first + 128],\n        min(N - first, 128),\n",
            ),
        ),
    ),
    Planted(
        "ends-with-the-image",
        "ends each tile with the image of its first pixel: the next one's share is never written",
        changed((M_VALID, f"{M_VALID.replace('m <', '(m <')}) & (m // pixels == {TILE_START} // pixels)")),
    ),
    Planted(
        "floor-of-an-image",
        "gives each image its whole tiles only, though each has a rest",
        changed(
            ("tl.cdiv(pixels, BLOCK_M)", "pixels // BLOCK_M"),
            ("triton.cdiv(OH * OW, meta", "(OH * OW // meta"),
            source=TILES_OF_AN_IMAGE,
        ),
    ),
    Planted(
        "spills-into-the-next-channel",
        "writes the last tile of an image whole, over the first pixels of the next channel",
        changed(("m_valid = pixel < pixels", "m_valid = pixel < tiles * BLOCK_M"), source=TILES_OF_AN_IMAGE),
    ),
    Planted(
        "multiples-of-16-for-whole-tiles",
        "does not mask the last tile of batches divisible by 16, whole only where 128 divides them",
        changed((M_VALID, f"{M_VALID.replace('m <', '(m <')}) | (N % 16 == 0)")),
    ),
    Planted(
        "one-tile-of-thousands",
        "leaves out one tile of pixels in the middle of a batch of 213 images or more",
        changed((M_VALID, f"{M_VALID.replace('m <', '(m <')}) & (tl.program_id(0) != 5003)")),
    ),
    Planted(
        "channels-past-the-end",
        "writes a whole last tile of channels: 32 of the next image, or of nothing behind the last one",
        changed((STORE_MASK, "total, mask=valid_m")),
    ),
    Planted(
        "surplus-channels-on-the-last",
        "clamps the channel instead of masking it, so that 33 lanes write the last one, most without bias",
        changed(("channel_n = n[None, :]", "channel_n = tl.minimum(n, C_out - 1)[None, :]")),
    ),
    Planted(
        "adds-to-unset-memory",
        "adds the halves of k to an output that nobody has set to zero",
        changed((ZEROS, UNSET), source=HALVES),
    ),
    Planted(
        "halves-overlap",
        "gives one block of k to both halves",
        changed((" * 192 + 192, BLOCK_K", " * 192 + 256, BLOCK_K"), source=HALVES),
    ),
    Planted(
        "halves-overwrite",
        "stores both halves of k at the same place instead of adding them",
        changed((ADD, STORE), source=HALVES),
    ),
    Planted(
        "bias-with-each-half",
        "adds the bias with each half of k, twice in all",
        changed((" & (tl.program_id(2) == 0)", ""), source=HALVES),
    ),
    Planted(
        "adds-while-tuning",
        "adds to the output each time the autotuner tries a configuration, and once more",
        halves(TWO_CONFIGS),
    ),
    Planted(
        "adds-without-atomics",
        "adds the halves of k by a load and a store, between which the other half may store",
        changed((ADD, ADD_BY_HAND), source=HALVES),
        gpu_only="a race: without a GPU programs run one after the other",
    ),
    Planted(
        "zeroed-by-the-neighbour",
        "lets the first half of k store and the second add to it, and counts on their order",
        changed((ADD, STORE_OR_ADD), (ZEROS, UNSET), source=HALVES),
        gpu_only="a race: without a GPU programs run in the order of their numbers",
    ),
    Planted(
        "last-tile-moved-back",
        "moves the last tile back to where it is whole, and adds what it shares with the one before twice",
        changed(
            (TILE_START, f"tl.minimum({TILE_START}, N * OH * OW - BLOCK_M)"),
            (HINT, ""),
            (STORE, ADD),
            (UNSET, ZEROS),
        ),
    ),
    Planted(
        "last-round-left-out",
        "walks over the tiles in whole rounds of all programs and leaves out the last, shorter one",
        changed((WALK, IN_WHOLE_ROUNDS), source=PERSISTENT),
    ),
    Planted(
        "total-of-the-tile-before",
        "walks over tiles and does not clear the sum between them",
        changed((f"        {TOTAL}", ""), (WALK, f"    {TOTAL}{WALK}"), source=PERSISTENT),
    ),
    Planted(
        "old-output-times-zero",
        "adds zero times what the output held, which may have been NaN or Inf",
        changed((STORE, OLD_TIMES_ZERO + STORE)),
    ),
    Planted(
        "zeros-left-unwritten",
        "does not write answers that are zero",
        changed((STORE_MASK, f"{STORE_MASK} & (total != 0.0)")),
    ),
    Planted(
        "black-patches-left-unwritten",
        "does not write where every pixel of the window is zero, though the bias belongs there",
        changed(
            (LOOP, f"    seen = tl.zeros((BLOCK_M,), dtype=tl.int32)\n{LOOP}"),
            (PRODUCT, f"        seen += tl.sum((patch != 0.0).to(tl.int32), 1)\n{PRODUCT}"),
            (STORE_MASK, f"{STORE_MASK} & (seen[:, None] > 0)"),
        ),
    ),
)
