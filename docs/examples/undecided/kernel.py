"""The kernel of `slower` with 1.33 % of work too much instead of 2.5 %: one percent faster."""

import torch
import torch.nn as nn
import triton
import triton.language as tl


# Rows of the product are output pixels (m), columns are output channels (n), and the reduction runs
# over one receptive field (k). The blocks are the original's; the configs differ in pipeline depth.
@triton.autotune(
    configs=[
        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=1),
        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2),
        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=3),
    ],
    key=["N", "C_in", "H", "W", "C_out", "OH", "OW"],
)
@triton.jit
def conv2d_fwd_kernel(
    x_ptr,
    w_ptr,
    b_ptr,
    out_ptr,
    N,
    C_in: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    C_out: tl.constexpr,
    KH: tl.constexpr,
    KW: tl.constexpr,
    OH: tl.constexpr,
    OW: tl.constexpr,
    stride_h: tl.constexpr,
    stride_w: tl.constexpr,
    pad_h: tl.constexpr,
    pad_w: tl.constexpr,
    K_TOTAL: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """Store one BLOCK_M x BLOCK_N tile of the output; every tensor is contiguous, NCHW or OIHW."""
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)

    pixels = OH * OW
    m_valid = m < N * pixels
    n_valid = n < C_out

    tl.multiple_of(m, BLOCK_M)
    tl.multiple_of(n, BLOCK_N)

    image = m // pixels
    pixel = m % pixels
    out_row = pixel // OW
    out_col = pixel % OW

    image_m = image[:, None]
    out_row_m = out_row[:, None]
    out_col_m = out_col[:, None]
    valid_m = m_valid[:, None]
    channel_n = n[None, :]

    # Corner of each receptive field; negative inside the padding.
    top = out_row_m * stride_h - pad_h
    left = out_col_m * stride_w - pad_w

    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    window = KH * KW

    # A real loop, so that num_stages pipelines its loads.
    for k_start in tl.range(0, K_TOTAL, BLOCK_K):
        k = k_start + tl.arange(0, BLOCK_K)
        k_valid = k < K_TOTAL

        channel = k // window
        tap = k % window
        tap_row = tap // KW
        tap_col = tap % KW
        channel_k = channel[None, :]
        row = top + tap_row[None, :]
        col = left + tap_col[None, :]

        inside = valid_m & (row >= 0) & (row < H) & (col >= 0) & (col < W) & k_valid[None, :]
        x_offset = ((image_m * C_in + channel_k) * H + row) * W + col
        patch = tl.load(x_ptr + x_offset, mask=inside, other=0.0).to(tl.float32)

        # A filter is K_TOTAL consecutive floats, so k needs no decoding on this side.
        k_rows = k[:, None]
        w_valid = (k_rows < K_TOTAL) & (channel_n < C_out)
        filters = tl.load(w_ptr + (channel_n * K_TOTAL + k_rows), mask=w_valid, other=0.0).to(tl.float32)

        total += tl.dot(patch, filters)

    if HAS_BIAS:
        shift = tl.load(b_ptr + n, mask=n_valid, other=0.0)
        total += shift[None, :]

    out_offset = ((image_m * C_out + channel_n) * OH + out_row_m) * OW + out_col_m
    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))


def triton_conv2d_nchw(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    padding: int,
) -> torch.Tensor:
    """Return the convolution of x [N, C_in, H, W] with weight [C_out, C_in, KH, KW], plus bias [C_out].

    Tensors are float32 on a CUDA device; stride and padding are the same in both directions.
    """
    assert x.is_cuda and weight.is_cuda, "x and weight must be on a CUDA device"
    assert x.dtype == torch.float32 and weight.dtype == torch.float32, "x and weight must be float32"
    if bias is not None:
        assert bias.is_cuda and bias.dtype == torch.float32, "bias must be float32 on a CUDA device"
        bias = bias.contiguous()
    x = x.contiguous()
    weight = weight.contiguous()

    N, C_in, H, W = x.shape
    C_out, weight_channels, KH, KW = weight.shape
    assert weight_channels == C_in, f"x has {C_in} channels, weight expects {weight_channels}"
    OH = (H + 2 * padding - KH) // stride + 1
    OW = (W + 2 * padding - KW) // stride + 1
    out = torch.empty((N, C_out, OH, OW), device=x.device, dtype=x.dtype)

    def grid(meta):
        tiles = triton.cdiv(N * OH * OW, meta["BLOCK_M"])
        # The programs beyond the last tile do all the arithmetic, and every mask of theirs is false.
        return tiles + tiles * 124 // 10_000, triton.cdiv(C_out, meta["BLOCK_N"])

    conv2d_fwd_kernel[grid](
        x,
        weight,
        # Without a bias the pointer is never read, but the launch needs a tensor in its place.
        x if bias is None else bias,
        out,
        N,
        C_in,
        H,
        W,
        C_out,
        KH,
        KW,
        OH,
        OW,
        stride,
        stride,
        padding,
        padding,
        K_TOTAL=C_in * KH * KW,
        HAS_BIAS=bias is not None,
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
        conv1 = self.conv1
        return triton_conv2d_nchw(
            x, conv1.weight, conv1.bias, stride=conv1.stride[0], padding=conv1.padding[0]
        )
