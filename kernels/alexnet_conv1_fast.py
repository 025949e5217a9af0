"""AlexNet's first convolution, float32 in and out, TF32 products: images to rows of pixels, then one product."""

import torch
import torch.nn as nn
import triton
import triton.language as tl

# Geometry: x [n, 3, 224, 224], filters [96, 3, 11, 11], stride 4, padding 2, output [n, 96, 55, 55].
#
# A row of y is a padded row of an image, its pixels' three channels side by side: 684 values, 228 pixels. A kernel
# row of a window is then 33 values that lie together: 32 are one step of the product. The last, of all 11 kernel
# rows, make a step of their own: they lie in a row of last, one for each of the 55 windows.
IMAGES = 128  # at a time: so many rows of y take half of an input of 256
BLOCK_M = 128
K = 11 * 32 + 16


@triton.jit
def round_to_tf32(values):
    """Round finite float32 to 10 fraction bits, to nearest even; NaN and infinities stay."""
    bits = values.to(tl.int32, bitcast=True)
    even = (bits >> 13) & 1
    rounded = ((bits + 0xFFF + even) & ~0x1FFF).to(tl.float32, bitcast=True)
    return tl.where((bits & 0x7F800000) == 0x7F800000, values, rounded)


@triton.jit
def interleave_kernel(x_ptr, y_ptr, last_ptr):
    """Write a row of y [n, 227, 684]: 6 zeros, 224 pixels, 6 zeros; zeros above and below; and of last [n, 227, 56]."""
    row = tl.program_id(0)
    line = row % 227 - 2
    image = x_ptr + row // 227 * 150528 + line * 224
    there = (line >= 0) & (line < 224)
    j = tl.arange(0, 1024)
    value = j - 6
    inside = there & (value >= 0) & (value < 672)
    values = tl.load(image + (value % 3 * 50176 + value // 3), mask=inside, other=0.0)
    tl.store(y_ptr + row * 684 + j, round_to_tf32(values), mask=j < 684)
    window = tl.arange(0, 64)
    values = tl.load(image + 2 * 50176 + window * 4 + 8, mask=there & (window < 54), other=0.0)
    tl.store(last_ptr + row * 56 + window, round_to_tf32(values), mask=window < 56)


@triton.jit
def pack_kernel(w_ptr, packed_ptr, K: tl.constexpr, BLOCK_K: tl.constexpr):
    """Write a filter as a row of packed [96, K]: 32 values of every kernel row, then their last values, then zeros."""
    n = tl.program_id(0)
    k = tl.arange(0, BLOCK_K)
    row = tl.where(k < 352, k // 32, k - 352)
    place = tl.where(k < 352, k % 32, 32)
    values = tl.load(w_ptr + n * 363 + place % 3 * 121 + row * 11 + place // 3, mask=row < 11, other=0.0)
    tl.store(packed_ptr + n * K + k, round_to_tf32(values), mask=k < K)


@triton.jit
def conv_kernel(
    y_ptr, last_ptr, packed_ptr, b_ptr, out_ptr,
    HAS_BIAS: tl.constexpr, K: tl.constexpr, BLOCK_M: tl.constexpr, ALIGNED: tl.constexpr, IN_REGISTERS: tl.constexpr,
):
    """Store the outputs of BLOCK_M pixels of an image for its 96 filters, which are taken as 64 and 32."""
    TILES: tl.constexpr = (3025 + BLOCK_M - 1) // BLOCK_M
    image = tl.program_id(0) // TILES
    m = tl.program_id(0) % TILES * BLOCK_M + tl.arange(0, BLOCK_M)
    pixel = tl.minimum(m, 3024)
    top = image * 227 + pixel // 55 * 4
    window = pixel % 55
    k = tl.arange(0, 32)
    row = tl.arange(0, 16)
    first = tl.arange(0, 64)
    second = 64 + tl.arange(0, 32)

    pixels_ptr = y_ptr + (tl.multiple_of(top * 684 + window * 12, ALIGNED)[:, None] + k[None, :])
    first_ptr = packed_ptr + (first[None, :] * K + k[:, None])
    second_ptr = packed_ptr + (second[None, :] * K + k[:, None])
    # Contiguous but where a row of windows ends: this only says which way the threads of a warp should lie.
    place = top * 56 + tl.max_contiguous(window, 2)
    last = tl.load(last_ptr + (place[:, None] + row[None, :] * 56), mask=(row < 11)[None, :], other=0.0)
    last_first = tl.load(packed_ptr + (first[None, :] * K + (352 + row)[:, None]))
    last_second = tl.load(packed_ptr + (second[None, :] * K + (352 + row)[:, None]))

    total_first = tl.dot(last, last_first)
    total_second = tl.dot(last, last_second)
    for kernel_row in range(11):
        pixels = tl.load(pixels_ptr + kernel_row * 684)
        if IN_REGISTERS:  # what is computed lies there, and both products take it without reading it again
            pixels += 0.0
        total_first = tl.dot(pixels, tl.load(first_ptr + kernel_row * 32), total_first)
        total_second = tl.dot(pixels, tl.load(second_ptr + kernel_row * 32), total_second)

    if HAS_BIAS:
        total_first += tl.load(b_ptr + first)[None, :]
        total_second += tl.load(b_ptr + second)[None, :]
    out_ptr += image * 290400 + m
    tl.store(out_ptr[:, None] + first[None, :] * 3025, total_first, mask=(m < 3025)[:, None])
    tl.store(out_ptr[:, None] + second[None, :] * 3025, total_second, mask=(m < 3025)[:, None])


def options_for(device):
    """Return the options of conv_kernel that are fastest on a GPU: with wgmma, or with mma.sync alone."""
    if torch.cuda.get_device_capability(device) >= (9, 0):
        # Copies of 8 bytes go through L1, which then serves the windows' overlap; those of 16 bytes pass it by.
        return {"ALIGNED": 2, "IN_REGISTERS": True, "num_warps": 4, "num_stages": 3}
    return {"ALIGNED": 4, "IN_REGISTERS": False, "num_warps": 4, "num_stages": 3}


def conv1_forward(x, weight, bias):
    """Return [N, 96, 55, 55] for x [N, 3, 224, 224], weight [96, 3, 11, 11] and bias [96] or None."""
    x = x.contiguous()
    weight = weight.contiguous()
    N = x.shape[0]
    chunk = min(IMAGES, triton.cdiv(N, 2))
    y = torch.empty((chunk, 227, 684), device=x.device, dtype=torch.float32)
    last = torch.empty((chunk, 227, 56), device=x.device, dtype=torch.float32)
    packed = torch.empty((96, K), device=x.device, dtype=torch.float32)
    out = torch.empty((N, 96, 55, 55), device=x.device, dtype=torch.float32)
    pack_kernel[(96,)](weight, packed, K=K, BLOCK_K=512, num_warps=4)
    for start in range(0, N, max(chunk, 1)):
        images = x[start : start + chunk]
        n = images.shape[0]
        interleave_kernel[(n * 227,)](images, y, last, num_warps=4)
        conv_kernel[(n * triton.cdiv(3025, BLOCK_M),)](
            y, last, packed, packed if bias is None else bias, out[start : start + chunk],
            HAS_BIAS=bias is not None, K=K, BLOCK_M=BLOCK_M, **options_for(x.device),
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
