"""AlexNet's first convolution, float32 in and out, TF32 products: filters wait in shared memory, pixels in registers."""

import torch
import torch.nn as nn
import triton
import triton.language as tl

# Geometry: x [n, 3, 224, 224], filters [96, 3, 11, 11], stride 4, padding 2, output [n, 96, 55, 55].
#
# The product reduces over k in steps of 8, four pairs of values that lie together in a row of x: a lane of a warp
# loads a pair as the tensor core wants it, so no pixel passes through shared memory. A window's row has 11 values:
# a middle step has its values 2 to 9, an edge step the pairs 0, 1 and 10, 11 of two rows; value 11 is no value of
# the window. A channel takes 11 middle and 5 edge steps, the last rows of the three take 2 edge steps.


@triton.jit
def round_to_tf32(values):
    """Round finite float32 to 10 fraction bits, to nearest even; NaN and infinities stay."""
    bits = values.to(tl.int32, bitcast=True)
    even = (bits >> 13) & 1
    rounded = ((bits + 0xFFF + even) & ~0x1FFF).to(tl.float32, bitcast=True)
    return tl.where((bits & 0x7F800000) == 0x7F800000, values, rounded)


@triton.jit
def pack_kernel(w_ptr, packed_ptr, ADJACENT: tl.constexpr):
    """Write a filter as a row of packed [96, 400] in the order of the steps, with zeros where no value is."""
    n = tl.program_id(0)
    k = tl.arange(0, 512)
    step = k // 8
    of_channel = step % 16
    if ADJACENT:
        pair, value = k % 8 // 2, k % 2
    else:
        pair, value = k % 4, k % 8 // 4
    is_edge = (of_channel % 3 == 2) | (step >= 48)
    channel = tl.where(step < 48, step // 16, step % 16 * 2 + pair // 2)
    row = tl.where(step < 48, of_channel // 3 * 2 + tl.where(is_edge, pair // 2, of_channel % 3), 10)
    column = tl.where(is_edge, pair % 2 * 10, 2 + pair * 2) + value
    there = (step < 50) & (channel < 3) & (column < 11)
    values = tl.load(w_ptr + n * 363 + channel * 121 + row * 11 + column, mask=there, other=0.0)
    tl.store(packed_ptr + n * 400 + k, round_to_tf32(values), mask=k < 400)


@triton.jit
def find_windows(x_ptr, m, pair, value):
    """Return where the windows of output pixels m begin, and whether rows above, rows below and edges are in x."""
    image = (m // 3025).to(tl.int64)
    row = m % 3025 // 55
    column = m % 55
    corner = image * 150528 + (row * 896 + column * 4 - 450)
    pointers = x_ptr + (tl.multiple_of(corner, 2)[:, None] + value)
    edges = tl.where(pair % 2 == 0, (column > 0)[:, None], (column < 54)[:, None])
    return pointers, (row > 0)[:, None], (row < 54)[:, None], edges


@triton.jit
def load_step(windows, pair, value, STEP: tl.constexpr):
    """Return a step's values of every window, as [4 * pixels, 2]: a pair in each row, zeros outside x."""
    pointers, above, below, edges = windows
    CHANNEL: tl.constexpr = STEP // 16
    ROW: tl.constexpr = STEP % 16 // 3 * 2
    KIND: tl.constexpr = STEP % 16 % 3
    if STEP >= 48:
        channel = (STEP - 48) * 2 + pair // 2
        pointers += channel * 50176 + (2240 + pair % 2 * 10)
        values = tl.load(pointers, mask=below & edges & (channel < 3), other=0.0)
    elif KIND == 2:
        pointers += (CHANNEL * 50176 + ROW * 224) + (pair // 2 * 224 + pair % 2 * 10)
        values = tl.load(pointers, mask=above & edges if ROW == 0 else edges, other=0.0)
    else:
        pointers += (CHANNEL * 50176 + (ROW + KIND) * 224) + (2 + pair * 2)
        if ROW == 0:
            values = tl.load(pointers, mask=above, other=0.0)
        elif ROW == 10:
            values = tl.load(pointers, mask=below, other=0.0)
        else:
            values = tl.load(pointers)
    if STEP >= 48 or KIND == 2:
        values = tl.where((pair % 2 == 1) & (value == 1), 0.0, values)
    return values


@triton.jit
def load_steps(windows, pair, value, FIRST: tl.constexpr, COUNT: tl.constexpr):
    """Return the values of COUNT steps, as [4 * pixels, 2, 2, ...]; the first of two halves has a 0 last."""
    if COUNT == 1:
        values = load_step(windows, pair, value, FIRST)
    else:
        HALF: tl.constexpr = COUNT // 2
        values = load_steps(windows, pair, value, FIRST, HALF)
        values = tl.join(values, load_steps(windows, pair, value, FIRST + HALF, HALF))
    return values


@triton.jit
def as_operand(values, WARPS: tl.constexpr, COUNT: tl.constexpr, ADJACENT: tl.constexpr):
    """Return values of COUNT steps as [pixels, k], rounded to TF32: what each lane has is where it stays.

    The tensor core cuts an operand's low bits off. What is a third to two thirds of a unit larger is then rounded, to
    nearest but for a sixth of a unit; what is exact in TF32 stays, and so do NaN and infinities.
    """
    SLOW: tl.constexpr = 3 if ADJACENT else 4
    FAST: tl.constexpr = 4 if ADJACENT else 3
    if COUNT == 16:
        values = values.reshape(2, WARPS, 8, 4, 2, 2, 2, 2, 2).permute(1, 0, 2, 8, 7, 6, 5, SLOW, FAST)
    elif COUNT == 4:
        values = values.reshape(2, WARPS, 8, 4, 2, 2, 2).permute(1, 0, 2, 6, 5, SLOW, FAST)
    else:
        values = values.reshape(2, WARPS, 8, 4, 2, 2).permute(1, 0, 2, 5, SLOW, FAST)
    return values.reshape(WARPS * 16, COUNT * 8) * (1 + 2 / 3 * 2**-11)


@triton.jit
def load_filters(packed_ptr, first, N: tl.constexpr, STEP: tl.constexpr, COUNT: tl.constexpr):
    """Return COUNT steps of N filters, as [k, n]."""
    k = STEP * 8 + tl.arange(0, COUNT * 8)
    n = first + tl.arange(0, N)
    return tl.load(packed_ptr + (n[None, :] * 400 + k[:, None]))


@triton.jit
def load_bias(b_ptr, first, N: tl.constexpr, HAS_BIAS: tl.constexpr):
    """Return N filters' biases, zeros without."""
    if HAS_BIAS:
        bias = tl.load(b_ptr + first + tl.arange(0, N))
    else:
        bias = tl.zeros((N,), dtype=tl.float32)
    return bias


@triton.jit
def store_totals(out_ptr, totals, tile, m_total, first, N: tl.constexpr, WARPS: tl.constexpr):
    """Store a tile's totals [pixels, n]: 16 pixels of two channels at a time, which the lanes of a warp exchange."""
    lane = tl.arange(0, WARPS * 32)
    turn = tl.arange(0, N // 2)
    m = tile * (WARPS * 16) + lane // 32 * 16 + lane % 16
    place = (m // 3025).to(tl.int64) * 290400 + (m % 3025 + (first + lane // 16 % 2 * 4) * 3025)
    totals = totals.reshape(WARPS, 16, N // 8, 2, 4).permute(2, 4, 0, 3, 1).reshape(N // 2, WARPS * 32)
    pointers = (out_ptr + place)[None, :] + ((turn // 4 * 8 + turn % 4) * 3025)[:, None]
    # Contiguous but where an image or a channel ends: this only says which way the threads of a warp should lie.
    pointers = tl.max_contiguous(pointers, [1, 2])
    tl.store(pointers, totals, mask=(m < m_total)[None, :])


@triton.jit
def conv_kernel(
    x_ptr, packed_ptr, b_ptr, out_ptr, m_total,
    HAS_BIAS: tl.constexpr, WHOLE: tl.constexpr, ADJACENT: tl.constexpr, AT_ONCE: tl.constexpr, WARPS: tl.constexpr,
):
    """Store the outputs of some tiles of 16 * WARPS pixels, as far apart as there are programs.

    A program takes the whole of the 96 filters, as 64 and 32, or a third. The values of a pair are adjacent in k, as the
    operands of mma.sync are laid out, or four apart, as those of wgmma. AT_ONCE steps make one tl.dot.
    """
    M: tl.constexpr = WARPS * 16
    SHARE: tl.constexpr = 1 if WHOLE else 3
    narrow = 64 if WHOLE else tl.program_id(0) % 3 * 32
    narrow_filters = ()
    wide_filters = ()
    for step in tl.static_range(0, 50, AT_ONCE):
        narrow_filters += (load_filters(packed_ptr, narrow, 32, step, AT_ONCE if step < 48 else 2),)
        if WHOLE:
            wide_filters += (load_filters(packed_ptr, 0, 64, step, AT_ONCE if step < 48 else 2),)
    narrow_bias = load_bias(b_ptr, narrow, 32, HAS_BIAS)
    wide_bias = load_bias(b_ptr, 0, 64, HAS_BIAS)
    # Here the warps wait for each other's part of the filters: else they would do so at every tile.
    tl.debug_barrier()

    quad = tl.arange(0, M * 4)
    pair = (quad % 4)[:, None]
    value = tl.arange(0, 2)[None, :]
    # A warp has 16 pixels side by side: the lanes' first 8 are in the first half of what all warps load.
    order = quad // 32 % WARPS * 16 + quad // (WARPS * 32) * 8 + quad // 4 % 8
    start = tl.program_id(0) // SHARE
    stride = tl.num_programs(0) // SHARE
    if WHOLE:
        windows = find_windows(x_ptr, tl.minimum(start * M + order, m_total - 1), pair, value)
        ahead = load_steps(windows, pair, value, 0, AT_ONCE)
    for tile in tl.range(start, tl.cdiv(m_total, M), stride, num_stages=1):
        narrow_totals = tl.broadcast_to(narrow_bias[None, :], (M, 32))
        wide_totals = tl.broadcast_to(wide_bias[None, :], (M, 64))
        if WHOLE:
            values = ahead
        else:
            windows = find_windows(x_ptr, tl.minimum(tile * M + order, m_total - 1), pair, value)
            values = load_steps(windows, pair, value, 0, AT_ONCE)
        for step in tl.static_range(0, 50, AT_ONCE):
            pixels = as_operand(values, WARPS, AT_ONCE if step < 48 else 2, ADJACENT)
            if step < 48:
                values = load_steps(windows, pair, value, step + AT_ONCE, AT_ONCE if step + AT_ONCE < 48 else 2)
            elif WHOLE:
                m = tl.minimum((tile + stride) * M + order, m_total - 1)
                windows = find_windows(x_ptr, m, pair, value)
                ahead = load_steps(windows, pair, value, 0, AT_ONCE)
            if WHOLE:
                wide_totals = tl.dot(pixels, wide_filters[step // AT_ONCE], wide_totals)
            narrow_totals = tl.dot(pixels, narrow_filters[step // AT_ONCE], narrow_totals)
        if WHOLE:
            store_totals(out_ptr, wide_totals, tile, m_total, 0, 64, WARPS)
        store_totals(out_ptr, narrow_totals, tile, m_total, narrow, 32, WARPS)


def options_for(device):
    """Return how conv_kernel is fastest on a GPU: with wgmma and 154 KB of filters, or with mma.sync and 51 KB."""
    if torch.cuda.get_device_capability(device)[0] == 9:
        return {"WHOLE": True, "ADJACENT": False, "AT_ONCE": 16, "num_warps": 8}
    return {"WHOLE": False, "ADJACENT": True, "AT_ONCE": 4, "num_warps": 16, "maxnreg": 128}


def conv1_forward(x, weight, bias):
    """Return [N, 96, 55, 55] for x [N, 3, 224, 224], weight [96, 3, 11, 11] and bias [96] or None."""
    x = x.contiguous()
    weight = weight.contiguous()
    m_total = x.shape[0] * 3025
    packed = torch.empty((96, 400), device=x.device, dtype=torch.float32)
    out = torch.empty((x.shape[0], 96, 55, 55), device=x.device, dtype=torch.float32)
    options = options_for(x.device)
    warps = options["num_warps"]
    programs = min(torch.cuda.get_device_properties(x.device).multi_processor_count, triton.cdiv(m_total, warps * 16))
    pack_kernel[(96,)](weight, packed, ADJACENT=options["ADJACENT"], num_warps=4)
    conv_kernel[(programs if options["WHOLE"] else programs * 3,)](
        x, packed, packed if bias is None else bias, out, m_total,
        HAS_BIAS=bias is not None, WARPS=warps, num_stages=1, **options,
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
