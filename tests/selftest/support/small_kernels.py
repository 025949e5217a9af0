"""Small kernel files that compile and run in a moment: not the operation, but the shape of its files."""

HEAD = """
import torch
import torch.nn as nn
import triton
import triton.language as tl
"""

MODEL = """
class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=2)

    def forward(self, x):
        out = torch.empty((x.shape[0], 96, 55, 55), device=x.device)
        conv1, count = self.conv1, out.numel()
"""

TWO_LAUNCHES = f"""{HEAD}
@triton.jit
def fill(x_ptr, w_ptr, out_ptr, step, x_count, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x_ptr + at * step, mask=at * step < x_count, other=0.0)
    scaled = value * 2.0 + tl.load(w_ptr)
    tl.store(out_ptr + at, scaled, mask=at < count)


@triton.jit
def shift(out_ptr, b_ptr, pixels, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bias = tl.load(b_ptr + at // pixels % 96)
    tl.store(out_ptr + at, tl.load(out_ptr + at, mask=at < count) + bias, mask=at < count)

{MODEL}
        grid = (triton.cdiv(count, 1024),)
        fill[grid](x, conv1.weight, out, 3, x.numel() - 16, count, BLOCK=1024)
        shift[(triton.cdiv(count, 4096), 1)](out, conv1.bias, 3025, count, BLOCK=4096)
        return out
"""
"""out = 2 x[3 i] + w[0] where 3 i < x.numel() - 16 and w[0] beyond, plus the bias of the channel."""

LOOP = f"""{HEAD}
@triton.autotune(
    configs=[triton.Config({{}}, num_stages=1), triton.Config({{}}, num_stages=3)],
    key=[],
)
@triton.jit
def multiply(x_ptr, out_ptr, K: tl.constexpr):
    row = tl.arange(0, 32)[:, None]
    column = tl.arange(0, 32)[None, :]
    total = tl.zeros((32, 32), dtype=tl.float32)
    for k in tl.static_range(0, K, 32):
        a = tl.load(x_ptr + row * K + k + column)
        b = tl.load(x_ptr + (row + k) * 32 + column)
        total += tl.dot(a, b)
    tl.store(out_ptr + row * 32 + column, total)

{MODEL}
        multiply[(1,)](x, out, K=256)
        return out
"""
"""A product in an unrolled loop, with two configurations that differ in num_stages only."""


def changed(old: str, new: str, source: str = TWO_LAUNCHES) -> str:
    """Return the source with a text exchanged that it must hold."""
    assert old in source
    return source.replace(old, new)
