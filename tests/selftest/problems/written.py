"""Problems in KernelBench's form with kernels for them, each right, and wrong by one change of its text."""

from typing import NamedTuple

PROBLEM = """
import torch
from torch import nn
from torch.nn import functional as F

class Model(nn.Module):
    def __init__(self, *sizes):
        super().__init__()
        {init}

    def forward(self, {arguments}):
        return {computes}

def get_inputs():
    return [{inputs}]

def get_init_inputs():
    return [{sizes}]
"""

KERNEL = """
import torch
import triton
import triton.language as tl
from torch import nn
from triton.language.extra import libdevice

"""

EACH_ELEMENT = (
    KERNEL
    + """
@triton.jit
def each_element(x_ptr, out_ptr, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < count)
    tl.store(out_ptr + at, {expression}, mask=at < count)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        each_element[(triton.cdiv(x.numel(), 256),)](x, out, x.numel(), BLOCK=256)
        return out
"""
)

EACH_ROW = (
    KERNEL
    + """
@triton.jit
def each_row(x_ptr, out_ptr, width, BLOCK: tl.constexpr):
    row, column = tl.program_id(0), tl.arange(0, BLOCK)
    inside = column < width
    x = tl.load(x_ptr + row * width + column, mask=inside, other={outside})
    {computes}
    {stores}


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        rows, width = x.shape
        out = torch.empty({out}, device=x.device)
        each_row[(rows,)](x, out, width, BLOCK=triton.next_power_of_2(width))
        return out
"""
)
STORES_ROW = "tl.store(out_ptr + row * width + column, out, mask=inside)"
STORES_ONE = "tl.store(out_ptr + row, out)"

TOTAL = (
    KERNEL
    + """
@triton.jit
def total(a_ptr, b_ptr, out_ptr, count, share, BLOCK: tl.constexpr):
    lanes = tl.zeros((BLOCK,), tl.float32)
    for first in range(0, count, BLOCK):
        at = first + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + at, mask=at < count, other={outside})
        b = tl.load(b_ptr + at, mask=at < count, other={outside})
        lanes += {term}
    tl.store(out_ptr, tl.sum(lanes) * share)


class ModelNew(nn.Module):
    def forward(self, a, b):
        a, b = a.contiguous(), b.contiguous()
        out = torch.empty((), device=a.device)
        total[(1,)](a, b, out, a.numel(), 1.0 / {count}, BLOCK=256)
        return out
"""
)

PRODUCT = (
    KERNEL
    + """
@triton.jit
def product(a_ptr, b_ptr, out_ptr, M, N, K, am, ak, bk, bn, SIZE: tl.constexpr):
    m = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    n = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    plane = tl.program_id(2)
    sums = tl.zeros((SIZE, SIZE), tl.float32)
    for first in range(0, K, SIZE):
        k = first + tl.arange(0, SIZE)
        a_at = plane * M * K + m[:, None] * am + k[None, :] * ak
        b_at = plane * K * N * {planes_of_b} + k[:, None] * bk + n[None, :] * bn
        a = tl.load(a_ptr + a_at, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + b_at, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        sums = tl.dot(a, b, sums)
    at = plane * M * N + m[:, None] * N + n[None, :]
    tl.store(out_ptr + at, sums, mask=(m[:, None] < M) & (n[None, :] < N))


class ModelNew(nn.Module):
    def forward(self, a, b):
        a, b = a.contiguous(), b.contiguous()
        {sizes}
        out = torch.empty({out}, device=a.device)
        grid = (triton.cdiv(M, 32), triton.cdiv(N, 32), {planes})
        product[grid](a, b, out, M, N, K, *{strides}, SIZE=32)
        return out
"""
)


class Written(NamedTuple):
    """A problem and a kernel; the fault is a text of the kernel, and what makes it wrong."""

    problem: str
    kernel: str
    fault: tuple[str, str]


def problem(
    computes: str,
    inputs: str = "torch.rand(8, 300)",
    *,
    init: str = "pass",
    arguments: str = "x",
    sizes: str = "",
) -> str:
    return PROBLEM.format(computes=computes, inputs=inputs, init=init, arguments=arguments, sizes=sizes)


def each_element(computes: str, expression: str, *fault: str) -> Written:
    before, after = fault
    return Written(problem(computes), EACH_ELEMENT.format(expression=expression), (before, after))


def each_row(
    computes: str,
    kernel: str,
    *fault: str,
    outside: str = "0.0",
    stores: str = STORES_ROW,
    out: str = "rows, width",
) -> Written:
    before, after = fault
    text = EACH_ROW.format(computes=kernel, stores=stores, outside=outside, out=out)
    return Written(problem(computes), text, (before, after))


def total(
    computes: str, term: str, *fault: str, outside: str = "0.0", count: str = "a.numel()", inputs: str = ""
) -> Written:
    before, after = fault
    asked = problem(computes, inputs or "torch.rand(8, 300), torch.rand(8, 300)", arguments="a, b")
    return Written(asked, TOTAL.format(term=term, outside=outside, count=count), (before, after))


def product(
    computes: str,
    shapes: tuple[str, str],
    sizes: str,
    strides: str,
    *fault: str,
    out: str = "M, N",
    planes: str = "1",
    planes_of_b: str = "1",
) -> Written:
    before, after = fault
    inputs = ", ".join(f"torch.rand({shape})" for shape in shapes)
    kernel = PRODUCT.format(sizes=sizes, strides=strides, out=out, planes=planes, planes_of_b=planes_of_b)
    return Written(problem(computes, inputs, arguments="a, b"), kernel, (before, after))


LAYER_NORM = (
    EACH_ROW.format(
        outside="0.0",
        computes="""mean = tl.sum(x, 0) / width
    away = tl.where(inside, x - mean, 0.0)
    scale = 1 / tl.sqrt(tl.sum(away * away, 0) / width + 1e-5)
    weight = tl.load(weight_ptr + column, mask=inside)
    out = away * scale * weight + tl.load(bias_ptr + column, mask=inside)""",
        stores=STORES_ROW,
        out="rows, width",
    )
    .replace("(x_ptr, out_ptr, width", "(x_ptr, out_ptr, weight_ptr, bias_ptr, width")
    .replace("(x, out, width", "(x, out, self.norm.weight, self.norm.bias, width")
    .replace(
        "    def forward",
        "    def __init__(self, width):\n        super().__init__()\n"
        "        self.norm = nn.LayerNorm(width)\n\n    def forward",
    )
)

WRITTEN: dict[str, Written] = {
    "relu": each_element("torch.relu(x)", "tl.where(x < 0, 0.0, x)", "x < 0", "x < 0.01"),
    "leaky-relu": each_element("F.leaky_relu(x, 0.01)", "tl.where(x < 0, 0.01 * x, x)", "0.01", "0.0101"),
    "sigmoid": each_element("torch.sigmoid(x)", "1 / (1 + tl.exp(-x))", "1 / (1", "1 / (1.0001"),
    "tanh": each_element("torch.tanh(x)", "2 / (1 + tl.exp(-2 * x)) - 1", "exp(-2", "exp(-2.001"),
    "swish": each_element("x * torch.sigmoid(x)", "x / (1 + tl.exp(-x))", "exp(-x)", "exp(-1.702 * x)"),
    "gelu": each_element(
        "F.gelu(x)",
        "0.5 * x * (1 + libdevice.erf(x * 0.7071067811865476))",
        "0.5 * x * (1 + libdevice.erf(x * 0.7071067811865476))",
        "x / (1 + tl.exp(-1.702 * x))",
    ),
    "selu": each_element(
        "torch.selu(x)",
        "1.0507009873554805 * tl.where(x < 0, 1.6732632423543772 * (tl.exp(x) - 1), x)",
        "1.6732632",
        "1.6742632",
    ),
    "hard-sigmoid": each_element(
        "F.hardsigmoid(x)",
        "tl.where(x < -3, 0.0, tl.where(x > 3, 1.0, x / 6 + 0.5))",
        "x < -3",
        "x < -2",
    ),
    "softplus": each_element(
        "F.softplus(x)",
        "tl.where(x > 20, x, tl.log(1 + tl.exp(x)))",
        "x > 20",
        "x > 2",
    ),
    "softsign": each_element("x / (1 + torch.abs(x))", "x / (1 + tl.abs(x))", "tl.abs(x)", "x"),
    "elu": each_element("F.elu(x)", "tl.where(x < 0, tl.exp(x) - 1, x)", "exp(x)", "exp(0.999 * x)"),
    "hard-tanh": each_element(
        "F.hardtanh(x)",
        "tl.where(x < -1, -1.0, tl.where(x > 1, 1.0, x))",
        "x > 1, 1.0",
        "x > 1.1, 1.1",
    ),
    "new-gelu": each_element(
        "0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x ** 3)))",
        "0.5 * x * (1 + libdevice.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))",
        "0.044715",
        "0.0447",
    ),
    "softmax": each_row(
        "torch.softmax(x, dim=1)",
        "weights = tl.exp(x - tl.max(x, 0))\n    out = weights / tl.sum(weights, 0)",
        "tl.exp(x - tl.max(x, 0))",
        "tl.exp(x)",
        outside="float('-inf')",
    ),
    "log-softmax": each_row(
        "torch.log_softmax(x, dim=1)",
        "high = tl.max(x, 0)\n    out = x - high - tl.log(tl.sum(tl.exp(x - high), 0))",
        "x - high - tl",
        "x - tl",
        outside="float('-inf')",
    ),
    "rms-norm": each_row(
        "x / torch.sqrt(torch.mean(x ** 2, dim=1, keepdim=True) + 1e-5)",
        "out = x / tl.sqrt(tl.sum(x * x, 0) / width + 1e-5)",
        "1e-5",
        "1e-3",
    ),
    "l1-norm": each_row(
        "x / torch.mean(torch.abs(x), dim=1, keepdim=True)",
        "out = x / (tl.sum(tl.abs(x), 0) / width)",
        "tl.abs(x)",
        "x",
    ),
    "l2-norm": each_row(
        "x / torch.norm(x, p=2, dim=1, keepdim=True)",
        "out = x / tl.sqrt(tl.sum(x * x, 0))",
        "mask=inside, other=0.0",
        "mask=column < width - 1, other=0.0",
    ),
    "layer-norm": Written(
        problem("self.norm(x)", init="self.norm = nn.LayerNorm(sizes[0])", sizes="300"),
        LAYER_NORM,
        ("x - mean, 0.0)", "x - mean, -mean)"),
    ),
    "sum": each_row(
        "torch.sum(x, dim=1, keepdim=True)",
        "out = tl.sum(x, 0)",
        "tl.sum(x, 0)",
        "tl.sum(tl.where(column < 256, x, 0.0), 0)",
        stores=STORES_ONE,
        out="rows, 1",
    ),
    "mean": each_row(
        "torch.mean(x, dim=1)",
        "out = tl.sum(x, 0) / width",
        "/ width",
        "/ BLOCK",
        stores=STORES_ONE,
        out="rows",
    ),
    "max": each_row(
        "torch.max(x, dim=1)[0]",
        "out = tl.max(x, 0)\n    out = tl.where(tl.sum(tl.where(x != x, 1, 0), 0) > 0, float('nan'), out)",
        "float('-inf')",
        "0.0",
        outside="float('-inf')",
        stores=STORES_ONE,
        out="rows",
    ),
    "min": each_row(
        "torch.min(x, dim=1)[0]",
        "out = tl.min(x, 0)\n    out = tl.where(tl.sum(tl.where(x != x, 1, 0), 0) > 0, float('nan'), out)",
        "float('inf')",
        "0.0",
        outside="float('inf')",
        stores=STORES_ONE,
        out="rows",
    ),
    "cumsum": each_row(
        "torch.cumsum(x, dim=1)",
        "out = tl.cumsum(x, 0)",
        "tl.cumsum(x, 0)",
        "tl.cumsum(x, 0) - x",
    ),
    "mean-squared-error": total(
        "torch.mean((a - b) ** 2)", "(a - b) * (a - b)", "a.numel(), 1.0", "a.numel() - 1, 1.0"
    ),
    "huber": total(
        "F.smooth_l1_loss(a, b)",
        "tl.where(tl.abs(a - b) < 1, 0.5 * (a - b) * (a - b), tl.abs(a - b) - 0.5)",
        "- 0.5)",
        "- 0.499)",
    ),
    "hinge": total(
        "torch.mean(torch.clamp(1 - a * b, min=0))",
        "tl.where(at < count, tl.maximum(1 - a * b, 0.0, propagate_nan=tl.PropagateNan.ALL), 0.0)",
        "1 - a * b",
        "1 - a",
    ),
    "divergence": total(
        "F.kl_div(torch.log(a), b, reduction='batchmean')",
        "tl.where(at < count, tl.where(b == 0, 0.0, b * tl.log(b)) - b * tl.log(a), 0.0)",
        "- b * tl.log(a)",
        "- tl.log(a)",
        count="len(a)",
    ),
    "matmul": product(
        "torch.matmul(a, b)",
        ("64, 64", "64, 64"),
        "(M, K), N = a.shape, b.shape[1]",
        "(K, 1, N, 1)",
        "(k[None, :] < K)",
        "(k[None, :] < K - 1)",
    ),
    "matmul-any-rows": product(
        "torch.matmul(a, b)",
        ("40, 70", "70, 50"),
        "(M, K), N = a.shape, b.shape[1]",
        "(K, 1, N, 1)",
        "sums = tl.dot(a, b, sums)",
        "sums = tl.dot(a.to(tl.bfloat16), b.to(tl.bfloat16), sums)",
    ),
    "matmul-transposed": product(
        "torch.matmul(a, b.T)",
        ("40, 70", "50, 70"),
        "(M, K), N = a.shape, b.shape[0]",
        "(K, 1, 1, K)",
        "(K, 1, 1, K)",
        "(K, 1, 1, N)",
    ),
    "matrix-vector": product(
        "torch.matmul(a, b)",
        ("40, 70", "70, 1"),
        "(M, K), N = a.shape, 1",
        "(K, 1, 1, 1)",
        "range(0, K, SIZE)",
        "range(0, K - SIZE, SIZE)",
    ),
    "batched-matmul": product(
        "torch.bmm(a, b)",
        ("6, 40, 70", "6, 70, 50"),
        "(B, M, K), N = a.shape, b.shape[2]",
        "(K, 1, N, 1)",
        "plane * K * N * 1",
        "plane * K * N * 0",
        out="B, M, N",
        planes="B",
    ),
}
"""By a name of our own."""
