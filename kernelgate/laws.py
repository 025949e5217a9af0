"""The laws that an answer must obey, each a small function: what is broken, where, got and allowed."""

from collections.abc import Iterator

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations import Convolution
from kernelgate.reference import Truth, unravel
from kernelgate.runners import Run

TF32_UNIT = 2.0**-10
"""TF32 keeps 10 fraction bits, and hardware may truncate: the relative error of an operand (CUDA C++
Programming Guide, "Alternate floating point"; IEEE 754 section 4.3 for the direction of rounding)."""

FLOAT32_UNIT = 2.0**-23
MAX_ERROR_RATIO = 4.0
"""In units of the yardstick: operands truncated by the hardware measure 2.6, bf16 operands 8."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A law that does not hold; `forbidden` tells breaking the rules from a wrong answer."""

    law: str
    detail: str
    forbidden: bool = False


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """How far an answer is from the truth: of the hard bound at the worst element, and rms in yardsticks."""

    bound_fraction: float
    error_ratio: float


def check_returned(operation: Convolution, batch: int, run: Run) -> Iterator[Broken]:
    """Yield what is wrong with the kind of thing that forward returned, before its values are looked at."""
    ran = run.ran
    shape = operation.output_shape(batch)
    if ran.returned != "Tensor":
        yield Broken(law="returned", detail=f"forward returned {ran.returned}, allowed a Tensor")
    elif ran.shape != shape:
        yield Broken(law="shape", detail=f"the output has shape {ran.shape}, allowed {shape}")
    elif ran.dtype != "torch.float32":
        yield Broken(law="dtype", detail=f"the output is {ran.dtype}, allowed torch.float32")
    elif ran.device != "cuda:0":
        yield Broken(
            law="device", detail=f"the output is on {ran.device}, allowed the input's device, cuda:0"
        )
    elif not ran.contiguous:
        yield Broken(law="contiguous", detail="the output is not contiguous, allowed row-major NCHW")
    elif run.bits is None:
        yield Broken(law="returned", detail="the output's values did not arrive whole")


def check_launches(run: Run) -> Iterator[Broken]:
    """Yield if forward launched no Triton kernel: whoever computed the answer, the kernel did not."""
    if run.ran.launches == 0:
        yield Broken(
            law="delegation", detail="forward launched no Triton kernel for a CUDA tensor", forbidden=True
        )


def check_inputs_intact(run: Run) -> Iterator[Broken]:
    """Yield if x, weight or bias changed by a bit."""
    if not run.ran.inputs_intact:
        yield Broken(law="inputs-intact", detail="forward changed its input, weight or bias in place")


def hard_bound(operation: Convolution, truth: Truth) -> Tensor:
    """Return the largest honest error of each element: operands in TF32, sums in float32 in any order.

    (2u + u^2 + g) S + 2^-23 |exact|, g = K 2^-23 / (1 - K 2^-23): Higham, Accuracy and Stability of Numerical
    Algorithms, 2nd edition, section 3.1, with the operands' rounding added.
    """
    sums = operation.reduction * FLOAT32_UNIT / (1 - operation.reduction * FLOAT32_UNIT)
    operands = 2 * TF32_UNIT + TF32_UNIT**2
    return (operands + sums) * truth.magnitude + FLOAT32_UNIT * truth.exact.abs()


def measure_errors(operation: Convolution, answer: Tensor, truth: Truth) -> Errors:
    """Return the errors of an answer at the positions of the truth; not-a-number counts as infinite."""
    error = _error(answer, truth)
    bound = hard_bound(operation, truth)
    fraction = torch.where(error == 0, 0, error / bound).max()
    # Where operands are exact in TF32 the yardstick is zero, and float32 sums still round.
    yardstick = _rms(truth.yardstick - truth.exact) + FLOAT32_UNIT * _rms(truth.magnitude)
    ratio = torch.where(yardstick > 0, _rms(error) / yardstick, 0)
    return Errors(bound_fraction=float(fraction), error_ratio=float(ratio))


def check_bound(
    operation: Convolution, answer: Tensor, truth: Truth, offsets: NDArray[np.int64] | None, poison_bits: int
) -> Iterator[Broken]:
    """Yield the worst element beyond the hard bound.

    `offsets` are the flat NCHW offsets of what was compared, None for every element in order.
    """
    error = _error(answer, truth)
    bound = hard_bound(operation, truth)
    beyond = error > bound
    if not bool(beyond.any()):
        return
    # Where the bound is zero an exact element divides zero by zero: only what is beyond may be named.
    worst = int(torch.where(beyond, error / bound, -1).flatten().argmax())
    value = answer.flatten()[worst]
    held = int(value.view(torch.int32)) & 0xFFFFFFFF
    note = ", which still holds the poison it was filled with" if held == poison_bits else ""
    place = unravel(operation, np.array([worst if offsets is None else offsets[worst]]))
    index = ",".join(str(int(axis)) for axis in place)
    yield Broken(
        law="hard-bound",
        detail=(
            f"out[{index}]: got {float(value):.9g}{note}, exact {float(truth.exact.flatten()[worst]):.9g}: "
            f"error {float(error.flatten()[worst]):.3g}, allowed {float(bound.flatten()[worst]):.3g}; "
            f"{int(beyond.sum())} of {beyond.numel()} elements are beyond the bound"
        ),
    )


def check_error_ratio(errors: Errors) -> Iterator[Broken]:
    """Yield if the error as a whole is larger than TF32 explains."""
    if not errors.error_ratio <= MAX_ERROR_RATIO:
        yield Broken(
            law="error-ratio",
            detail=f"rms error is {errors.error_ratio:.2f} times TF32's own, allowed {MAX_ERROR_RATIO:g}",
        )


def check_all_written(bits: NDArray[np.uint32], run: Run) -> Iterator[Broken]:
    """Yield if a run of every program left poison in the output, or a run of some left nothing else."""
    left = int(np.count_nonzero(bits == run.poison_bits))
    if left == bits.size or (left and run.ran.programs_run == run.ran.programs_total):
        yield Broken(law="all-written", detail=f"{left} of {bits.size} output elements were never written")


def _error(answer: Tensor, truth: Truth) -> Tensor:
    return (answer.double() - truth.exact).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)


def _rms(values: Tensor) -> Tensor:
    return values.double().square().mean().sqrt()
