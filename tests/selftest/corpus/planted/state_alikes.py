"""Honest kernels that keep, rearrange, divide or schedule something around the product."""

import textwrap

from tests.selftest.corpus.planted.base import (
    BASE,
    LookAlike,
    after_call,
    changed,
    in_forward,
    in_init,
    with_configs,
)
from tests.selftest.corpus.planted.tiling_alikes import (
    BIAS,
    COMMENT,
    FILTERS,
    GRID,
    PANELS,
    ROWS,
    STEPS,
    STORE,
    W_VALID,
    config,
    under,
)

LAUNCH = "    conv2d_fwd_kernel[grid](\n"
RETURN = "    return out\n\n\nclass"
METHOD = "    def forward(self, x: torch.Tensor)"
ANSWER = "    out = torch.empty((N, C_out, OH, OW), device=x.device, dtype=x.dtype)\n"
CONTIGUOUS = "    x = x.contiguous()\n"
CONTIGUOUS_WEIGHT = "    weight = weight.contiguous()\n"
GIVEN = "        x,\n        weight,\n"
SIZES = "        H,\n        W,\n        C_out,\n"
X_OFFSET = "((image_m * C_in + channel_k) * H + row) * W + col\n"
OUT_OFFSET = "((image_m * C_out + channel_n) * OH + out_row_m) * OW + out_col_m\n"
W_OFFSET = "(channel_n * K_TOTAL + k_rows)"
LAST_BLOCK = "    BLOCK_K: tl.constexpr,\n"
DECODED_M = """\
    image = m // pixels
    pixel = m % pixels
    out_row = pixel // OW
    out_col = pixel % OW
"""
DECODED_K = """\
        channel = k // window
        tap = k % window
        tap_row = tap // KW
        tap_col = tap % KW
"""


def beside(kernel: str, source: str = BASE) -> str:
    """Return the source with another kernel before its own."""
    return changed((COMMENT, f"\n\n{kernel}{COMMENT}"), source=source)


def with_method(method: str, source: str) -> str:
    """Return the source with another method in the model."""
    return changed((METHOD, f"{textwrap.indent(method, ' ' * 4)}\n{METHOD}"), source=source)


def in_chunks(images: int, before: str = "", after: str = "", source: str = BASE) -> str:
    """Return a kernel file that launches on so many images at a time, with the code before and after each.

    It takes its images from `part` and stores to `answer`.
    """
    chunks = f"""\
    for start in range(0, len(x), {images}):
        part, answer = x[start : start + {images}], out[start : start + {images}]
        N = len(part)
{textwrap.indent(before, " " * 8)}"""
    return changed(
        ("            x,\n", "            part,\n"),
        ("            out,\n", "            answer,\n"),
        (RETURN, textwrap.indent(after, " " * 8) + RETURN),
        source=under(chunks, LAUNCH, RETURN, source=source),
    )


PACK_KERNEL = """\
@triton.jit
def pack_filters(w_ptr, packed_ptr, C_out: tl.constexpr, K_TOTAL: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < C_out * K_TOTAL
    tl.store(packed_ptr + at, tl.load(w_ptr + at % C_out * K_TOTAL + at // C_out, mask=mask), mask=mask)
"""
PACK = "pack_filters[(triton.cdiv(weight.numel(), 1024),)](weight, packed, 96, 363, BLOCK=1024)\n"
PACK_METHOD = f"""\
def packed(self, weight: torch.Tensor) -> torch.Tensor:
    if self.workspace is None or self.workspace.device != weight.device:
        self.workspace = torch.empty(96 * 363, device=weight.device)
    weight, packed = weight.contiguous(), self.workspace
    {PACK}    return packed
"""
PACK_ONCE_METHOD = """\
def packed(self, weight: torch.Tensor) -> torch.Tensor:
    version = weight._version
    key = (weight.data_ptr(), version, weight.stride(), weight.device)
    if self.kept is None or self.kept[0] is not weight or self.kept[1] != key:
        # The alias keeps the memory: no other weight can come to lie at this address.
        self.kept = weight, key, weight.detach(), weight.detach().flatten(1).T.contiguous()
    return self.kept[-1]
"""
VERSION_IF_ANY = """\
        try:
            version = weight._version
        except RuntimeError:
            version = object()
"""
PACKED = changed((W_OFFSET, "(k_rows * C_out + channel_n)"), (GIVEN, "        x,\n        packed,\n"))
"""Takes filters whose channels are the fastest, from a tensor `packed` that an edit must still make."""

ASKS_FOR_PACKED = changed(
    ("    weight: torch.Tensor,\n", "    weight: torch.Tensor,\n    packed: torch.Tensor,\n"),
    ("conv1.weight, conv1.bias,", "conv1.weight, self.packed(conv1.weight), conv1.bias,"),
    source=PACKED,
)
"""Asks the model for them."""

PACKED_ONCE = with_method(PACK_ONCE_METHOD, in_init("self.kept = None", ASKS_FOR_PACKED))

DESCRIBED = """\
    described = tl.make_tensor_descriptor(
        w_ptr, shape=[C_out, 384], strides=[384, 1], block_shape=[BLOCK_N, BLOCK_K]
    )
"""
PACK_FOR_DESCRIPTOR = """\
    packed = nn.functional.pad(weight.flatten(1), (0, 21))
    triton.set_allocator(lambda size, align, stream: torch.empty(size, device=x.device, dtype=torch.int8))
"""

BORDER_KERNEL = """\
@triton.jit
def add_border(x_ptr, wide_ptr, count, SIZE: tl.constexpr, PAD: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    wide = SIZE + 2 * PAD
    plane, row, col = at // (wide * wide), at // wide % wide - PAD, at % wide - PAD
    inside = (at < count) & (row >= 0) & (row < SIZE) & (col >= 0) & (col < SIZE)
    value = tl.load(x_ptr + (plane * SIZE + row) * SIZE + col, mask=inside, other=0.0)
    tl.store(wide_ptr + at, value, mask=at < count)
"""
ADD_BORDER = """\
wide = torch.empty((N, C_in, H + 4, W + 4), device=x.device)
add_border[(triton.cdiv(wide.numel(), 4096),)](part, wide, wide.numel(), H, 2, BLOCK=4096)
part = wide
"""
PAD = "part = nn.functional.pad(part, (padding, padding, padding, padding))\n"
UNPADDED = changed(
    (SIZES, "        H + 4,\n        W + 4,\n        C_out,\n"),
    ("        padding,\n        padding,\n", "        0,\n        0,\n"),
)
"""Takes images that have their border already."""

FOLD = f"""\
{PAD}part = part.view(N, C_in, 57, 4, 57, 4).permute(0, 2, 4, 1, 3, 5).contiguous()
"""
DECODED_CELLS = """\
        cell, inner = k // 48, k % 48
        channel = inner // 16
        tap_row = cell // 3 * 4 + inner % 16 // 4
        tap_col = cell % 3 * 4 + inner % 4
        # A twelfth row or column is no part of a filter: its pixels are not read either.
        k_valid = (cell < 9) & (tap_row < KH) & (tap_col < KW)
"""
CELL_OFFSET = """\
(image_m * 57 + out_row_m + cell[None, :] // 3) * 57
        x_offset = (x_offset + out_col_m + cell[None, :] % 3) * 48 + inner[None, :]
"""

LAY_OUT_KERNEL = """\
@triton.jit
def lay_out(in_ptr, out_ptr, pixels, C_out: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    pixel = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    n = tl.arange(0, BLOCK_N)[None, :]
    first = tl.program_id(1) * pixels * C_out
    mask = (pixel < pixels) & (n < C_out)
    tile = tl.load(in_ptr + first + pixel * C_out + n, mask=mask)
    tl.store(out_ptr + first + tl.trans(n * pixels + pixel), tl.trans(tile), mask=tl.trans(mask))
"""
CHANNELS_LAST = """\
part = part.permute(0, 2, 3, 1).contiguous()
laid_out, answer = answer, torch.empty((N, OH * OW, C_out), device=x.device)
"""
LAY_OUT = (
    "lay_out[(triton.cdiv(OH * OW, 64), N)](answer, laid_out, OH * OW, C_out, BLOCK_M=64, BLOCK_N=128)\n"
)

HALVES = changed(
    (ROWS, f"    half = tl.program_id(2)\n{ROWS}"),
    ("tl.range(0, K_TOTAL, BLOCK_K)", "tl.range(half * 192, half * 192 + 192, BLOCK_K)"),
    ("mask=n_valid, ", "mask=n_valid & (half == 0), "),
    (PANELS, f"{PANELS}, 2"),
)
"""Two programs for each tile, of three steps each; the first adds the bias."""

ADD_KERNEL = """\
@triton.jit
def add_halves(halves_ptr, out_ptr, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    first = tl.load(halves_ptr + at, mask=at < count)
    second = tl.load(halves_ptr + count + at, mask=at < count)
    tl.store(out_ptr + at, first + second, mask=at < count)
"""
MAKE_HALVES = "whole, answer = answer, torch.empty((2, *answer.shape), device=x.device)\n"
ADD_HALVES = "add_halves[(triton.cdiv(whole.numel(), 4096),)](answer, whole, whole.numel(), BLOCK=4096)\n"

SOME_ROWS = """\
    image_m = tl.program_id(0) // ROWS
    out_row_m = FIRST + tl.program_id(0) % ROWS * STEP
"""
ROWS_OF_A_LAUNCH = """\
            FIRST=first,
            STEP=step,
            ROWS=rows,
"""
CHECK_ROWS = """\
        if FIRST == 0:
            inside &= (row >= 0) & (row < H)
"""
BLOCKS_BY_BATCH = """\
        BLOCK_M=64 if N < 4 else 128,
        BLOCK_N=32 if N < 4 else 64,
        BLOCK_K=128 if N < 4 else 64,
        num_warps=4 if N < 4 else 8,
        num_stages=1,
"""
STRIDED = """\
image_m.to(tl.int64) * x_image + channel_k.to(tl.int64) * x_channel
        x_offset += row.to(tl.int64) * x_row + col.to(tl.int64) * x_col
"""
TABLE = """\
k = torch.arange(384, dtype=torch.int32)
self.register_buffer("table", torch.stack([k // 121, k % 121 // 11, k % 11]), persistent=False)
"""
READ_TABLE = """\
        channel = tl.load(table_ptr + k)
        tap_row = tl.load(table_ptr + 384 + k)
        tap_col = tl.load(table_ptr + 768 + k)
"""
BIAS_AS_ANSWER = """\
    first = torch.zeros(C_out, device=x.device) if bias is None else bias.detach()
    out = first.view(1, -1, 1, 1).expand(N, C_out, OH, OW).contiguous()
"""
ADD_TO_ANSWER = """\
    written = valid_m & (channel_n < C_out)
    total += tl.load(out_ptr + out_offset, mask=written, other=0.0)
    tl.store(out_ptr + out_offset, total, mask=written)
"""

ON_SIDE_STREAM = """\
    side = torch.cuda.Stream(x.device) if torch.cuda.is_initialized() else None
    if side is not None:
        side.wait_stream(torch.cuda.current_stream(x.device))
    with torch.cuda.stream(side):
"""
WAIT_FOR_SIDE = """\
    if side is not None:
        torch.cuda.current_stream(x.device).wait_stream(side)
"""
GRAPH_METHODS = """\
def launch(self, x: torch.Tensor) -> torch.Tensor:
    conv1 = self.conv1
    return triton_conv2d_nchw(
        x, conv1.weight, conv1.bias, stride=conv1.stride[0], padding=conv1.padding[0]
    )

def capture(self, x: torch.Tensor) -> tuple:
    static_x = x.detach().clone(memory_format=torch.contiguous_format)
    # Outside first: what is not loaded yet cannot be loaded while capturing.
    self.launch(static_x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        static_out = self.launch(static_x)
    return graph, static_x, static_out
"""
REPLAY = """\
if x.is_cuda and len(x) <= 64 and torch.cuda.is_initialized():
    tensors = [each for each in (self.conv1.weight, self.conv1.bias) if each is not None]
    key = (x.shape, x.device, *((each.data_ptr(), each.stride()) for each in tensors))
    if key not in self.graphs:
        if len(self.graphs) == 4:
            self.graphs.clear()
        self.graphs[key] = self.capture(x)
    graph, static_x, static_out = self.graphs[key]
    static_x.copy_(x.detach())
    graph.replay()
    return static_out.clone()
"""

HONEST_STATE = (
    LookAlike(
        "packed-by-torch",
        "torch transposes the filters in every call, and pads them so that no load is masked",
        changed(
            (CONTIGUOUS_WEIGHT, "    packed = nn.functional.pad(weight.flatten(1).T, (0, 32, 0, 21))\n"),
            ("(k_rows * C_out + channel_n), mask=w_valid, other=0.0)", "(k_rows * 128 + channel_n))"),
            source=PACKED,
        ),
    ),
    LookAlike(
        "packed-by-a-kernel",
        "another kernel transposes the filters in every call",
        beside(
            PACK_KERNEL,
            changed((ANSWER, f"{ANSWER}    packed = torch.empty_like(weight)\n    {PACK}"), source=PACKED),
        ),
    ),
    LookAlike(
        "packed-once",
        "keeps transposed filters until the weight's address, version, strides or device change",
        PACKED_ONCE,
    ),
    LookAlike(
        "packed-once-if-counted",
        "asks for the version in a try: a tensor made in inference mode has none, and is packed anew",
        changed(("        version = weight._version\n", VERSION_IF_ANY), source=PACKED_ONCE),
    ),
    LookAlike(
        "kept-workspace",
        "another kernel packs the filters into the same memory in every call",
        beside(PACK_KERNEL, with_method(PACK_METHOD, in_init("self.workspace = None", ASKS_FOR_PACKED))),
    ),
    LookAlike(
        "descriptor",
        "reads packed filters through a tensor descriptor that the program makes",
        changed(
            (STEPS, DESCRIBED + STEPS),
            (FILTERS, "described.load([tl.program_id(1) * BLOCK_N, k_start]).T\n"),
            (CONTIGUOUS_WEIGHT, PACK_FOR_DESCRIPTOR),
            (GIVEN, "        x,\n        packed,\n"),
        ),
    ),
    LookAlike("chunks", "a launch for every 64 images", in_chunks(64)),
    LookAlike(
        "border-by-torch",
        "torch adds the border to 256 images at a time",
        in_chunks(256, PAD, source=UNPADDED),
    ),
    LookAlike(
        "border-by-a-kernel",
        "another kernel adds the border to 256 images at a time",
        in_chunks(256, ADD_BORDER, source=beside(BORDER_KERNEL, UNPADDED)),
    ),
    LookAlike(
        "cells-of-four",
        "torch folds each square of 4 x 4 pixels into 48 channels; the filters reach over 3 x 3 of them",
        in_chunks(
            128,
            FOLD,
            source=changed(
                ("tl.range(0, K_TOTAL, BLOCK_K)", "tl.range(0, 9 * 48, BLOCK_K)"),
                (DECODED_K, DECODED_CELLS),
                (X_OFFSET, CELL_OFFSET),
                (W_VALID, "w_valid = k_valid[:, None]"),
                (W_OFFSET, "(channel_n * K_TOTAL + ((channel * KH + tap_row) * KW + tap_col)[:, None])"),
            ),
        ),
    ),
    LookAlike(
        "channels-last",
        "computes with the channels last on both sides, and another kernel transposes the answer",
        in_chunks(
            128,
            CHANNELS_LAST,
            LAY_OUT,
            changed(
                ("k // window", "k % C_in"),
                ("k % window", "k // C_in"),
                (X_OFFSET, "((image_m * H + row) * W + col) * C_in + channel_k\n"),
                (OUT_OFFSET, "((image_m * OH + out_row_m) * OW + out_col_m) * C_out + channel_n\n"),
                (CONTIGUOUS_WEIGHT, "    packed = weight.permute(2, 3, 1, 0).contiguous()\n"),
                source=beside(LAY_OUT_KERNEL, PACKED),
            ),
        ),
    ),
    LookAlike(
        "halves-added-atomically",
        "two programs add their halves of the products to zeros, in either order the same",
        changed(
            ("torch.empty((N, C_out", "torch.zeros((N, C_out"),
            (
                "tl.store(out_ptr + out_offset, total",
                'tl.atomic_add(out_ptr + out_offset, total, sem="relaxed"',
            ),
            source=HALVES,
        ),
    ),
    LookAlike(
        "halves-added-by-a-kernel",
        "two programs store their halves of the products, and another kernel adds them",
        in_chunks(
            64,
            MAKE_HALVES,
            ADD_HALVES,
            beside(
                ADD_KERNEL,
                changed(
                    (OUT_OFFSET, OUT_OFFSET.rstrip() + " + half * (N * C_out * pixels)\n"), source=HALVES
                ),
            ),
        ),
    ),
    LookAlike(
        "interior-and-border",
        "one launch for the rows whose windows lie in the image, without a check of rows; one for the others",
        changed(
            (
                LAST_BLOCK,
                f"{LAST_BLOCK}    FIRST: tl.constexpr,\n    STEP: tl.constexpr,\n    ROWS: tl.constexpr,\n",
            ),
            (ROWS, "    out_col = tl.arange(0, BLOCK_M)\n"),
            ("m_valid = m < N * pixels", "m_valid = out_col < OW"),
            ("    tl.multiple_of(m, BLOCK_M)\n", ""),
            (DECODED_M, SOME_ROWS),
            ("    image_m = image[:, None]\n    out_row_m = out_row[:, None]\n", ""),
            ("valid_m & (row >= 0) & (row < H) & (col >= 0)", "valid_m & (col >= 0)"),
            ("        x_offset =", f"{CHECK_ROWS}        x_offset ="),
            (GRID, f'        return N * meta["ROWS"], {PANELS}\n'),
            ("            HAS_BIAS=", f"{ROWS_OF_A_LAUNCH}            HAS_BIAS="),
            source=under(
                "    for first, step, rows in ((1, 1, OH - 2), (0, OH - 1, 2)):\n",
                LAUNCH,
                RETURN,
                with_configs(config(64, 128, 64)),
            ),
        ),
    ),
    LookAlike(
        "small-batches-apart",
        "no autotuner: batches below four have other blocks than the rest",
        changed(
            (BASE[BASE.index("@triton.autotune(") : BASE.index("@triton.jit")], ""),
            (
                "        HAS_BIAS=bias is not None,\n",
                f"        HAS_BIAS=bias is not None,\n{BLOCKS_BY_BATCH}",
            ),
        ),
    ),
    LookAlike(
        "reads-strides",
        "reads x where it lies, by its strides and with 64-bit offsets",
        changed(
            (CONTIGUOUS, ""),
            (
                "    N,\n    C_in: tl",
                "    N,\n    x_image,\n    x_channel,\n    x_row,\n    x_col,\n    C_in: tl",
            ),
            (X_OFFSET, STRIDED),
            ("        N,\n        C_in,\n", "        N,\n        *x.stride(),\n        C_in,\n"),
        ),
    ),
    LookAlike(
        "contiguous-if-needed",
        "copies x only if it is not contiguous, under torch.no_grad",
        changed(
            (CONTIGUOUS, "    if not x.is_contiguous():\n        x = x.contiguous()\n"),
            ("\ndef triton_conv2d", "\n@torch.no_grad()\ndef triton_conv2d"),
        ),
    ),
    LookAlike(
        "zeros-for-no-bias",
        "a buffer of the model stands in for a bias that is None",
        in_init(
            'self.register_buffer("no_bias", torch.zeros(96), persistent=False)',
            changed(("conv1.bias, stride", "self.no_bias if conv1.bias is None else conv1.bias, stride")),
        ),
    ),
    LookAlike(
        "table-of-taps",
        "a buffer of the model says which channel, row and column each product belongs to",
        in_init(
            TABLE,
            changed(
                ("    b_ptr,\n", "    b_ptr,\n    table_ptr,\n"),
                (DECODED_K, READ_TABLE),
                ("    stride: int,\n", "    table: torch.Tensor,\n    stride: int,\n"),
                ("        out,\n        N,\n", "        table,\n        out,\n        N,\n"),
                ("conv1.bias, stride", "conv1.bias, self.table, stride"),
            ),
        ),
    ),
    LookAlike(
        "part-of-a-larger-answer",
        "the answer is all but the last image of a larger tensor",
        changed((ANSWER, ANSWER.replace("(N, ", "(N + 1, ").rstrip() + "[:N]\n")),
    ),
    LookAlike(
        "filled-first",
        "fills the answer with NaN, and then overwrites all of it",
        changed(("torch.empty((N, C_out, OH, OW)", 'torch.full((N, C_out, OH, OW), float("nan")')),
    ),
    LookAlike(
        "bias-laid-out-first",
        "torch fills the answer with the bias, the kernel adds the products to what it reads there",
        changed((ANSWER, BIAS_AS_ANSWER), (BIAS, ""), (STORE, ADD_TO_ANSWER)),
    ),
    LookAlike(
        "counts-its-calls",
        "the model counts its calls and remembers the last shapes",
        after_call(
            "self.calls += 1\nself.shapes = x.shape, out.shape",
            in_init("self.calls, self.shapes = 0, None"),
        ),
    ),
    LookAlike(
        "side-stream",
        "on a GPU launches on another stream, which waits for the current one and is waited for",
        changed((RETURN, WAIT_FOR_SIDE + RETURN), source=under(ON_SIDE_STREAM, LAUNCH, RETURN)),
    ),
    LookAlike(
        "graph",
        "on a GPU replays a CUDA graph on a copy of x, captured anew when a parameter moves",
        with_method(GRAPH_METHODS, in_init("self.graphs = {}", in_forward(REPLAY))),
    ),
)
