"""Floats of every format: rounding, NaN, comparisons, functions."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

from kernelgate.interpreter.errors import CannotInterpretError
from tests.selftest.interpreter.compiled import Typed, run

SIZE = 32
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1.5, np.inf, -np.inf, np.nan, 2.0**-11 + 1, 65504.0, 1e-7, 3.0, -2.5, 0.3]


def values(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    drawn = random.standard_normal(SIZE - len(SPECIAL)).astype(np.float32)
    return random.permutation(np.concatenate([drawn, np.array(SPECIAL, np.float32)]))


@triton.jit
def combine(a, b, out, OP: tl.constexpr, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x, y = tl.load(a + place), tl.load(b + place)
    if OP == "add":
        z = x + y
    elif OP == "sub":
        z = x - y
    elif OP == "mul":
        z = x * y
    elif OP == "div":
        z = (x / y).to(x.dtype)
    elif OP == "max":
        z = tl.maximum(x, y)
    elif OP == "min":
        z = tl.minimum(x, y)
    elif OP == "max nan":
        z = tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)
    elif OP == "less":
        z = (x < y).to(x.dtype)
    elif OP == "not equal":
        z = (x != y).to(x.dtype)
    elif OP == "neg":
        z = -x
    else:
        z = tl.clamp(x, -1.0, 0.5)
    tl.store(out + place, z)


TRUTH = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.fmax,
    "min": torch.fmin,
    "max nan": torch.maximum,
    "less": torch.lt,
    "not equal": torch.ne,
    "neg": lambda x, _: -x,
    "clamp": lambda x, _: torch.fmin(torch.fmax(x, torch.tensor(-1.0)), torch.tensor(0.5)),
}


@pytest.mark.parametrize("operation", list(TRUTH))
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
def test_two_floats(operation: str, kind: str) -> None:
    x, y = (torch.from_numpy(values(seed)).to(getattr(torch, kind)) for seed in (1, 2))
    expected = TRUTH[operation](x, y).to(x.dtype)
    if kind == "bfloat16":
        bits = [each.view(torch.int16).numpy() for each in (x, y, torch.zeros_like(x))]
        a, b, out = (Typed(each, "*bf16") for each in bits)
        run(combine, (1,), {"a": a, "b": b, "out": out}, {"OP": operation, "SIZE": SIZE})
        got = torch.from_numpy(out.value).view(torch.bfloat16)
    else:
        got = torch.zeros_like(x)
        given = {"a": x.numpy(), "b": y.numpy(), "out": got.numpy()}
        run(combine, (1,), given, {"OP": operation, "SIZE": SIZE})
    torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


@triton.jit
def convert(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.load(a + place).to(out.dtype.element_ty))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp8e4nv", torch.float8_e4m3fn),
     ("fp8e5", torch.float8_e5m2)],
)  # fmt: skip
def test_narrow_formats_round_to_nearest_even(name: str, kind: torch.dtype) -> None:
    random = np.random.default_rng(5)
    x = (random.standard_normal(4096) * 2.0 ** random.integers(-18, 8, 4096)).astype(np.float32)
    x[:20] = np.concatenate([SPECIAL, [448.0, -447.0, 2.0**-9, 2.0**-10, 0.0, 1 + 2.0**-8]])
    x[np.abs(x) > 448] = 7.0
    expected = torch.from_numpy(x).to(kind)
    stored = Typed(np.zeros(4096, np.uint8 if kind.itemsize == 1 else np.uint16), f"*{name}")
    run(convert, (1,), {"a": x, "out": stored}, {"SIZE": 4096})
    got = torch.from_numpy(stored.value).view(kind).float()
    finite = np.isfinite(x)  # What infinity becomes in 8 bits is each library's own choice.
    torch.testing.assert_close(got[finite], expected.float()[finite], rtol=0, atol=0)
    back = np.zeros(4096, np.float32)
    run(convert, (1,), {"a": stored, "out": back}, {"SIZE": 4096})
    torch.testing.assert_close(torch.from_numpy(back), got, rtol=0, atol=0, equal_nan=True)


@triton.jit
def without_sign(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.abs(tl.load(a + place)))


@pytest.mark.parametrize("name", ["fp8e4b15", "fp8e4nv", "fp8e5"])
def test_the_absolute_value_of_8_bits_is_all_but_the_first(name: str) -> None:
    codes, out = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    run(without_sign, (1,), {"a": Typed(codes, f"*{name}"), "out": Typed(out, f"*{name}")}, {"SIZE": 256})
    np.testing.assert_array_equal(out, codes & 0x7F)


def test_float64_rounds_once_to_bfloat16() -> None:
    x = np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8, 1 + 3 * 2.0**-8 - 2.0**-40, 1.0], np.float64)
    out = Typed(np.zeros(4, np.uint16), "*bf16")
    run(convert, (1,), {"a": x, "out": out}, {"SIZE": 4})
    assert (
        torch.from_numpy(out.value).view(torch.bfloat16).float().numpy() == [1 + 2.0**-7, 1, 1 + 2.0**-7, 1]
    ).all()


@triton.jit
def towards_zero(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.load(a + place).to(tl.float16, fp_downcast_rounding="rtz").to(tl.float32))


def test_rounding_towards_zero() -> None:
    x = np.array([1 + 2.0**-10 * 1.9, -1 - 2.0**-10 * 1.9, 1.0, -3.0], np.float32)
    out = np.zeros(4, np.float32)
    run(towards_zero, (1,), {"a": x, "out": out}, {"SIZE": 4})
    assert out.tolist() == [1 + 2.0**-10, -1 - 2.0**-10, 1.0, -3.0]


@triton.jit
def functions(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x = tl.load(a + place)
    tl.store(out + place, tl.exp(x))
    tl.store(out + SIZE + place, tl.exp2(x))
    tl.store(out + 2 * SIZE + place, tl.log(x))
    tl.store(out + 3 * SIZE + place, tl.log2(x))
    tl.store(out + 4 * SIZE + place, tl.sqrt(x))
    tl.store(out + 5 * SIZE + place, tl.rsqrt(x))
    tl.store(out + 6 * SIZE + place, tl.sin(x))
    tl.store(out + 7 * SIZE + place, tl.cos(x))
    tl.store(out + 8 * SIZE + place, tl.erf(x))
    tl.store(out + 9 * SIZE + place, tl.floor(x))
    tl.store(out + 10 * SIZE + place, tl.ceil(x))
    tl.store(out + 11 * SIZE + place, tl.abs(x))
    tl.store(out + 12 * SIZE + place, tl.fma(x, x, x))
    tl.store(out + 13 * SIZE + place, tl.sigmoid(x))
    tl.store(out + 14 * SIZE + place, tl.sqrt_rn(x))
    tl.store(out + 15 * SIZE + place, tl.div_rn(x, x + 1.0))


def test_functions() -> None:
    x = np.abs(values(7))
    x[x == 65504] = 80
    x64, out = x.astype(np.float64), np.zeros((16, SIZE), np.float32)
    run(functions, (1,), {"a": x, "out": out}, {"SIZE": SIZE})
    with np.errstate(all="ignore"):
        truth = [
            np.exp(x64), np.exp2(x64), np.log(x64), np.log2(x64), np.sqrt(x64), 1 / np.sqrt(x64), np.sin(x64),
            np.cos(x64), torch.erf(torch.from_numpy(x64)).numpy(), np.floor(x64), np.ceil(x64), np.abs(x64),
            x64 * x64 + x64, 1 / (1 + np.exp(-x64)), np.sqrt(x64), x64 / (x64 + 1),
        ]  # fmt: skip
    np.testing.assert_allclose(out, np.array(truth).astype(np.float32), rtol=1e-6, atol=1e-7)


@triton.jit
def by_libdevice(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x = tl.load(a + place)
    tl.store(out + place, libdevice.tanh(x))
    tl.store(out + SIZE + place, libdevice.pow(x, x))
    tl.store(out + 2 * SIZE + place, libdevice.isnan(x).to(tl.float32))
    tl.store(out + 3 * SIZE + place, libdevice.rint(x))
    tl.store(out + 4 * SIZE + place, libdevice.round(x))
    tl.store(out + 5 * SIZE + place, libdevice.add_rn(x, x))
    tl.store(out + 6 * SIZE + place, libdevice.atan2(x, x + 1))
    tl.store(out + 7 * SIZE + place, libdevice.float2int_rn(x).to(tl.float32))
    tl.store(out + 8 * SIZE + place, libdevice.fast_expf(x))
    tl.store(out + 9 * SIZE + place, libdevice.ffs(place).to(tl.float32))
    tl.store(out + 10 * SIZE + place, libdevice.popc(place).to(tl.float32))
    tl.store(out + 11 * SIZE + place, libdevice.clz(place).to(tl.float32))
    tl.store(out + 12 * SIZE + place, libdevice.brev(place).to(tl.float32))
    tl.store(out + 13 * SIZE + place, libdevice.lgamma(x))
    tl.store(out + 14 * SIZE + place, libdevice.abs(place - 9).to(tl.float32))


def test_libdevice() -> None:
    x = np.linspace(0.5, 4.25, SIZE).astype(np.float32)
    x[3] = np.nan
    x64, place = x.astype(np.float64), np.arange(SIZE)
    out = np.zeros((15, SIZE), np.float32)
    run(by_libdevice, (1,), {"a": x, "out": out}, {"SIZE": SIZE})
    truth = [
        np.tanh(x64), x64**x64, np.isnan(x64), np.rint(x64), np.floor(x64 + 0.5), 2 * x64,
        np.arctan2(x64, x64 + 1),
        np.nan_to_num(np.rint(x64)), np.exp(x64), [(n & -n).bit_length() for n in range(SIZE)],
        [n.bit_count() for n in range(SIZE)], [32 - n.bit_length() for n in range(SIZE)],
        [int(f"{n:032b}"[::-1], 2) - (2**32 if n % 2 else 0) for n in range(SIZE)],
        torch.lgamma(torch.from_numpy(x64)).numpy(), np.abs(place - 9),
    ]  # fmt: skip
    np.testing.assert_allclose(out, np.array(truth, np.float64).astype(np.float32), rtol=2e-6, atol=1e-7)


@triton.jit
def beyond(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, libdevice.jn(place, tl.load(a + place)))


def test_a_function_that_is_lacking_is_named() -> None:
    with pytest.raises(CannotInterpretError, match=r"__nv_jnf \(TTIR line \d+\) cannot be interpreted"):
        run(beyond, (1,), {"a": values(), "out": values()}, {"SIZE": SIZE})


@triton.jit
def bits(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.load(a + place).to(tl.int32, bitcast=True))


def test_bits_stay() -> None:
    x, out = values(), np.zeros(SIZE, np.int32)
    run(bits, (1,), {"a": x, "out": out}, {"SIZE": SIZE})
    np.testing.assert_array_equal(out, x.view(np.int32))


@triton.jit
def constants(out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.where(place < 1, float("inf"), tl.where(place < 2, float("-inf"), float("nan"))))
    tl.store(out + SIZE + place, tl.where(place < 1, 1e-40, 1e-45))


def test_constants_that_have_no_decimal_digits() -> None:
    out = np.zeros(8, np.float32)
    run(constants, (1,), {"out": out}, {"SIZE": 4})
    expected = np.array([np.inf, -np.inf, np.nan, np.nan, 1e-40, 1e-45, 1e-45, 1e-45], np.float32)
    np.testing.assert_array_equal(out, expected)
