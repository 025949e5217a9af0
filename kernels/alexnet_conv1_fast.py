"""AlexNet's first convolution, float32 in and out, TF32 products: filters wait in shared memory, pixels in registers."""

import torch
import torch.nn as nn
import triton
import triton.language as tl

# Geometry: x [n, 3, 224, 224], filters [96, 3, 11, 11], stride 4, padding 2, output [n, 96, 55, 55].
#
# The product reduces over k in steps of 8, four pairs of values that lie together in a row of x: a lane of a warp
# loads a pair as the tensor core wants it, so no pixel passes through shared memory. A window's row has 11 values:
# a middle step has its values 2 to 9, an edge step the pairs 0, 1 and 10, 11 of two rows. A channel takes 11 middle
# and 5 edge steps, the last rows of the three take 2 edge steps. Value 11 is none of the window's: it is 1, and its
# filters are 0, but for three, which add up to the bias: 50 steps.


@triton.jit
def round_to_tf32(values):
    """Round finite float32 to 10 fraction bits, to nearest even; NaN and infinities stay."""
    bits = values.to(tl.int32, bitcast=True)
    even = (bits >> 13) & 1
    rounded = ((bits + 0xFFF + even) & ~0x1FFF).to(tl.float32, bitcast=True)
    return tl.where((bits & 0x7F800000) == 0x7F800000, values, rounded)


@triton.jit
def cut_to_tf32(values):
    """Cut off what of float32 TF32 lacks, as the tensor core does."""
    return (values.to(tl.int32, bitcast=True) & ~0x1FFF).to(tl.float32, bitcast=True)


@triton.jit
def locate_step(step):
    """Return the channel, row and column of a step's first pair, and whether it is an edge step or one of the last."""
    is_last = step >= 48
    is_edge = is_last | (step % 16 % 3 == 2)
    channel = tl.where(is_last, step % 16 * 2, step // 16)
    row = tl.where(is_last, 10, step % 16 // 3 * 2 + tl.where(is_edge, 0, step % 16 % 3))
    return channel, row, tl.where(is_edge, 0, 2), is_edge, is_last


@triton.jit
def choose(is_edge, is_last, middle, edge, last):
    """Return what holds for a step of this kind."""
    return tl.where(is_last, last, tl.where(is_edge, edge, middle))


@triton.jit
def pack_kernel(w_ptr, b_ptr, packed_ptr, HAS_BIAS: tl.constexpr):
    """Write a row of packed [96, 400]: a filter in the order of the steps, rounded to TF32, and its bias in 3 parts."""
    n = tl.program_id(0)
    k = tl.arange(0, 512)
    pair = k % 4
    channel, row, column, is_edge, is_last = locate_step(k // 8)
    channel += choose(is_edge, is_last, 0, 0, pair // 2)
    row += choose(is_edge, is_last, 0, pair // 2, 0)
    column += choose(is_edge, is_last, pair * 2, pair % 2 * 10, pair % 2 * 10) + k % 8 // 4
    filters = w_ptr + n * 363 + channel * 121 + row * 11 + column
    values = round_to_tf32(tl.load(filters, mask=(k < 400) & (channel < 3) & (column < 11), other=0.0))
    if HAS_BIAS:
        bias = tl.load(b_ptr + n)
        high = cut_to_tf32(bias)
        rest = tl.where(tl.abs(bias) < float("inf"), bias - high, 0.0)
        middle = cut_to_tf32(rest)
        part = tl.where(row == 0, high, tl.where(row == 1, middle, rest - middle))
        values = tl.where((channel == 0) & (row < 3) & (column == 11), part, values)
    tl.store(packed_ptr + n * 400 + k, values, mask=k < 400)


@triton.jit
def load_filters(packed_ptr, first, N: tl.constexpr, STEP: tl.constexpr, AT_ONCE: tl.constexpr):
    """Return the next AT_ONCE steps of N filters, as [k, n]."""
    COUNT: tl.constexpr = min(AT_ONCE, 50 - STEP)
    k = STEP * 8 + tl.arange(0, COUNT * 8)
    n = first + tl.arange(0, N)
    return tl.load(packed_ptr + (n[None, :] * 400 + k[:, None]))


@triton.jit
def find_windows(x_ptr, m, m_total, pair):
    """Return where the windows of output pixels m begin, and whether rows above, rows below and edges are in x."""
    m = tl.minimum(m, m_total - 1)[:, None, None]
    row = m % 3025 // 55
    column = m % 55
    corner = (m // 3025).to(tl.int64) * 150528 + (row * 896 + column * 4 - 450)
    edges = tl.where(pair % 2 == 0, column > 0, column < 54)
    return x_ptr + tl.multiple_of(corner, [2, 2, 2]), row > 0, row < 54, edges


@triton.jit
def load_steps(windows, pair, STEP: tl.constexpr, AT_ONCE: tl.constexpr):
    """Return the next AT_ONCE steps of every window as [4 * pixels, COUNT, 2]: a pair in each row, zeros outside x."""
    COUNT: tl.constexpr = min(AT_ONCE, 50 - STEP)
    pointers, above, below, edges = windows
    value = tl.arange(0, 2)[None, None, :]
    channel, row, column, is_edge, is_last = locate_step(STEP + tl.arange(0, COUNT)[None, :, None])
    edge = pair // 2 * 224 + pair % 2 * 10
    last = pair // 2 * 50176 + pair % 2 * 10
    pointers += tl.multiple_of(choose(is_edge, is_last, pair * 2, edge, last), [2, 2, 2]) + value
    pointers += tl.multiple_of(channel * 50176 + row * 224 + column, [2, 2, 2])
    inside = ((row > 1) | above) & ((row < 10) | below) & (edges | ~is_edge) & ((channel < 2) | ~is_last | (pair < 2))
    # What is claimed of the pixels is not so: it only says that the threads of a warp should lie along them.
    values = tl.load(tl.max_contiguous(pointers, [2, 1, 4]), mask=inside, other=0.0)
    return tl.where(is_edge & (pair % 2 == 1) & (value == 1), 1.0, values)


@triton.jit
def as_operand(values, STEP: tl.constexpr, AT_ONCE: tl.constexpr, WARPS: tl.constexpr, REPEATS: tl.constexpr):
    """Return the values of some steps as [pixels, k], rounded to TF32: what each lane has is where it stays.

    The tensor core cuts an operand's low bits off. What is a third to two thirds of a unit larger is then rounded, to
    nearest but for a sixth of a unit; what is exact in TF32 stays, and so do NaN and infinities.
    """
    COUNT: tl.constexpr = min(AT_ONCE, 50 - STEP)
    values = values.reshape(REPEATS, 2, WARPS, 8, 4, COUNT, 2).permute(0, 2, 1, 3, 5, 6, 4)
    return values.reshape(REPEATS * WARPS * 16, COUNT * 8) * (1 + 2 / 3 * 2**-11)


@triton.jit
def prefetch_tile(x_ptr, tile, m_total, M: tl.constexpr):
    """Have a tile's pixels brought to the L2 cache: 4 rows of 3 channels for each 8 of its output pixels."""
    line = tl.arange(0, M * 2)
    m = tl.minimum(tile * M + line // 16 * 8, m_total - 1)
    channel = tl.minimum(line % 16 // 4, 2)
    corner = (m // 3025).to(tl.int64) * 150528 + (m % 3025 // 55 * 896 + m % 55 * 4)
    address = (x_ptr + corner + (channel * 50176 + line % 4 * 224)).to(tl.int64)
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.b32 $0, 0;", "=r,l", [address], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def keep_order():
    """Hold loads where they stand: ptxas would move them behind the products that they should run ahead of."""
    tl.inline_asm_elementwise("bar.warp.sync -1; mov.b32 $0, 0;", "=r", [], dtype=tl.int32, is_pure=False, pack=1)


@triton.jit
def store_totals(out_ptr, totals, tile, m_total, first, N: tl.constexpr, WARPS: tl.constexpr, REPEATS: tl.constexpr):
    """Store a tile's totals [pixels, n]: 16 pixels of two channels at a time, which the lanes of a warp exchange."""
    lane = tl.arange(0, WARPS * 32)[None, None, :]
    turn = tl.arange(0, N // 2)[None, :, None]
    repeat = tl.arange(0, REPEATS)[:, None, None]
    m = (tile * REPEATS + repeat) * (WARPS * 16) + lane // 32 * 16 + lane % 16
    place = (m // 3025).to(tl.int64) * 290400 + (m % 3025 + (first + lane // 16 % 2 * 4) * 3025)
    totals = totals.reshape(REPEATS, WARPS, 16, N // 8, 2, 4).permute(0, 3, 5, 1, 4, 2)
    pointers = out_ptr + place + (turn // 4 * 8 + turn % 4) * 3025
    # Contiguous but where an image or a channel ends: this only says which way the threads of a warp should lie.
    pointers = tl.max_contiguous(pointers, [1, 1, 2])
    tl.store(pointers, totals.reshape(REPEATS, N // 2, WARPS * 32), mask=m < m_total)


@triton.jit
def conv_kernel(
    x_ptr, packed_ptr, out_ptr, m_total,
    SHARES: tl.constexpr, AT_ONCE: tl.constexpr, WARPS: tl.constexpr, REPEATS: tl.constexpr,
):
    """Store the outputs of some tiles of pixels, as far apart as there are programs for a share of the filters.

    A warp has 16 pixels of a tile, REPEATS times. A program's share of the 96 filters is in two parts, a third and two
    thirds of it, since tl.dot takes powers of two. AT_ONCE steps make one tl.dot for each.
    """
    M: tl.constexpr = WARPS * 16 * REPEATS
    NARROW: tl.constexpr = 32 // SHARES
    WIDE: tl.constexpr = 64 // SHARES
    first = tl.program_id(0) % SHARES * (NARROW + WIDE)
    start = tl.program_id(0) // SHARES
    stride = tl.num_programs(0) // SHARES
    prefetch_tile(x_ptr, start, m_total, M)
    narrow_filters = ()
    wide_filters = ()
    for step in tl.static_range(0, 50, AT_ONCE):
        narrow_filters += (load_filters(packed_ptr, first, NARROW, step, AT_ONCE),)
        wide_filters += (load_filters(packed_ptr, first + NARROW, WIDE, step, AT_ONCE),)
    # Here the warps wait for each other's part of the filters: else they would wait at every tile.
    tl.debug_barrier()

    quad = tl.arange(0, M * 4)
    pair = (quad % 4)[:, None, None]
    # A warp has 16 pixels side by side: the lanes' first 8 are in the first half of what all warps load.
    order = quad // (WARPS * 64) * (WARPS * 16) + quad // 32 % WARPS * 16 + quad // (WARPS * 32) % 2 * 8 + quad // 4 % 8
    for tile in tl.range(start, tl.cdiv(m_total, M), stride, num_stages=1):
        prefetch_tile(x_ptr, tile + stride, m_total, M)
        windows = find_windows(x_ptr, tile * M + order, m_total, pair)
        values = load_steps(windows, pair, 0, AT_ONCE)
        narrow_totals = tl.zeros((M, NARROW), dtype=tl.float32)
        wide_totals = tl.zeros((M, WIDE), dtype=tl.float32)
        for step in tl.static_range(0, 50, AT_ONCE):
            pixels = as_operand(values, step, AT_ONCE, WARPS, REPEATS)
            if step + AT_ONCE < 50:
                values = load_steps(windows, pair, step + AT_ONCE, AT_ONCE)
            keep_order()
            narrow_totals = tl.dot(pixels, narrow_filters[step // AT_ONCE], narrow_totals)
            wide_totals = tl.dot(pixels, wide_filters[step // AT_ONCE], wide_totals)
            if SHARES > 1:
                # With wgmma the kernel is slower for it, with mma.sync faster.
                keep_order()
        store_totals(out_ptr, narrow_totals, tile, m_total, first, NARROW, WARPS, REPEATS)
        store_totals(out_ptr, wide_totals, tile, m_total, first + NARROW, WIDE, WARPS, REPEATS)


def options_for(device):
    """Return how conv_kernel is fastest on a GPU: with wgmma and 154 KB of filters, or with mma.sync and 77 KB."""
    if torch.cuda.get_device_capability(device)[0] == 9:
        return {"SHARES": 1, "AT_ONCE": 16, "WARPS": 8, "REPEATS": 1}
    return {"SHARES": 2, "AT_ONCE": 4, "WARPS": 8, "REPEATS": 2}


def conv1_forward(x, weight, bias):
    """Return [N, 96, 55, 55] for x [N, 3, 224, 224], weight [96, 3, 11, 11] and bias [96] or None."""
    x = x.contiguous()
    weight = weight.contiguous()
    m_total = x.shape[0] * 3025
    out = torch.empty((x.shape[0], 96, 55, 55), device=x.device, dtype=torch.float32)
    packed = torch.empty((96, 400), device=x.device, dtype=torch.float32)
    pack_kernel[(96,)](weight, weight if bias is None else bias, packed, HAS_BIAS=bias is not None, num_warps=4)
    options = options_for(x.device)
    shares = options["SHARES"]
    tiles = triton.cdiv(m_total, 16 * options["WARPS"] * options["REPEATS"])
    programs = min(torch.cuda.get_device_properties(x.device).multi_processor_count // shares, tiles)
    conv_kernel[(programs * shares,)](
        x, packed, out, m_total, num_warps=options["WARPS"], num_stages=1, **options,
    )
    return out


class ModelNew(nn.Module):
    """The layer alone; num_classes is the argument of the whole network and changes nothing here."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels=3, out_channels=96, kernel_size=11, stride=4, padding=2, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, 96, 55, 55] for x [N, 3, 224, 224]."""
        if not x.is_cuda:
            return self.conv1(x)
        return conv1_forward(x, self.conv1.weight, self.conv1.bias)
