"""Layer normalisation of the rows of a float32 matrix: a program holds a whole row."""

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.autotune(
    configs=[
        triton.Config({}, num_warps=4, num_stages=1),
    ],
    key=["N"],
)
@triton.jit
def layernorm_kernel(x_ptr, weight_ptr, bias_ptr, out_ptr, N, WIDTH: tl.constexpr, EPSILON: tl.constexpr):
    """Store one row of WIDTH elements, a power of two."""
    column = tl.arange(0, WIDTH)
    offset = tl.program_id(0) * WIDTH + column
    x = tl.load(x_ptr + offset)
    centred = x - tl.sum(x, axis=0) / WIDTH
    mean = tl.sum(x, axis=0) / WIDTH
    variance = tl.sum(x * x, axis=0) / WIDTH - mean * mean
    normal = centred * tl.rsqrt(variance + EPSILON)
    weight, bias = tl.load(weight_ptr + column), tl.load(bias_ptr + column)
    tl.store(out_ptr + offset, normal * weight + bias)


def triton_layernorm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """Return the rows of x with mean 0 and variance 1, times weight, plus bias; float32 on a CUDA device."""
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    N, width = x.shape
    out = torch.empty_like(x)
    layernorm_kernel[(N,)](x, weight, bias, out, N, WIDTH=width, EPSILON=epsilon)
    return out


class ModelNew(nn.Module):
    """The layer alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(1024)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x [N, 1024] normalised."""
        norm = self.norm
        return triton_layernorm(x, norm.weight, norm.bias, norm.eps)
