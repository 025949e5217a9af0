"""The inputs of one correctness example: a batch, a family of values, a seed, and their tensors."""

import math
from collections.abc import Callable

import msgspec
import torch
from torch import Generator, Tensor

from kernelgate.operations import Convolution

SEED_LIMIT = 2**63
"""What torch's generators take."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One drawn example. The same case makes the same tensors on every machine of one torch version."""

    batch: int
    family: str
    seed: int
    pin: int
    programs: int

    @property
    def replay(self) -> str:
        """The case as `--replay` takes it."""
        return ",".join(f"{field}={value}" for field, value in msgspec.structs.asdict(self).items())

    def __str__(self) -> str:
        extent = f"{self.programs} sampled programs" if self.programs else "all programs"
        return f"N={self.batch}, {self.family}, config {self.pin}, {extent}, seed {self.seed}"


def parse_case(text: str) -> Case:
    """Return the case of a `--replay` text; raises ValueError that says what is wrong with it."""
    try:
        fields = dict(part.split("=", 1) for part in text.split(","))
        case = msgspec.convert(fields, Case, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"not a case: {text!r}: {error}") from error
    counts = min(case.batch, case.seed + 1, case.pin + 1, case.programs + 1)
    if case.family not in FAMILIES or counts < 1 or case.seed >= SEED_LIMIT:
        raise ValueError(
            f"not a case: {text!r}: families are {', '.join(FAMILIES)}; counts start at 0, N at 1"
        )
    return case


class Inputs(msgspec.Struct, frozen=True):
    """x [N, C_in, H, W], weight [C_out, C_in, KH, KW], bias [C_out]: float32, contiguous, on one device."""

    x: Tensor
    weight: Tensor
    bias: Tensor


SCALES = {"tiny": 2.0**-40, "huge": 2.0**40}
"""Of x and bias alike: beside a bias of ordinary size, tiny products would not show in a float32."""

Family = Callable[[tuple[int, ...], Generator], Tensor]


def _normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def _uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def _wide_range(shape: tuple[int, ...], generator: Generator) -> Tensor:
    exponents = torch.randint(-12, 13, shape, generator=generator).float()
    return _normal(shape, generator) * torch.exp2(exponents)


def _channel_range(shape: tuple[int, ...], generator: Generator) -> Tensor:
    exponents = torch.randint(-10, 11, shape[:2], generator=generator).float()
    return _normal(shape, generator) * torch.exp2(exponents).reshape(*shape[:2], 1, 1)


def _tiny(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return _normal(shape, generator) * SCALES["tiny"]


def _huge(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return _normal(shape, generator) * SCALES["huge"]


def _cancelling(shape: tuple[int, ...], generator: Generator) -> Tensor:
    sign = torch.ones(shape[-1])
    sign[1::2] = -1
    return (4 + 0.01 * _normal(shape, generator)) * sign


def _sparse(shape: tuple[int, ...], generator: Generator) -> Tensor:
    kept = torch.rand(shape, generator=generator) < 0.01
    return _normal(shape, generator) * kept


def _constant(shape: tuple[int, ...], generator: Generator) -> Tensor:
    # Exact in TF32: one rounding error shared by every element would be no unit to measure truncation in.
    return torch.full(shape, torch.randint(64, 193, (), generator=generator).item() / 128)


def _integer(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randint(-8, 9, shape, generator=generator).float()


def _one_hot(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Set one 1 an image; every other image has it on the border, where halo faults live."""
    hot = torch.zeros(shape)
    rows = torch.randint(0, shape[2], shape[:1], generator=generator)
    rows[::2] = torch.tensor([0, shape[2] - 1])[torch.randint(0, 2, rows[::2].shape, generator=generator)]
    columns = torch.randint(0, shape[3], shape[:1], generator=generator)
    channels = torch.randint(0, shape[1], shape[:1], generator=generator)
    hot[torch.arange(shape[0]), channels, rows, columns] = 1
    return hot


def _smooth(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw a low-frequency picture: neighbours nearly equal, as in photographs."""
    phase = torch.rand((*shape[:2], 2, 1), generator=generator) * 2 * math.pi
    steps = torch.linspace(0, 2 * math.pi, shape[-1])
    waves = torch.sin(steps + phase)
    return waves[:, :, 0, :, None] * waves[:, :, 1, None, :]


FAMILIES: dict[str, Family] = {
    "normal": _normal,
    "uniform": _uniform,
    "integer": _integer,
    "constant": _constant,
    "one-hot": _one_hot,
    "sparse": _sparse,
    "smooth": _smooth,
    "cancelling": _cancelling,
    "channel-range": _channel_range,
    "wide-range": _wide_range,
    "tiny": _tiny,
    "huge": _huge,
}
"""The simplest first: shrinking ends in the earliest family that still fails."""


def make_inputs(operation: Convolution, case: Case) -> Inputs:
    """Return the tensors of the case on the CPU.

    The family shapes x; weight and bias are normal, or small integers where x is, so that sums stay exact.
    """
    generator = torch.Generator().manual_seed(case.seed)
    x = FAMILIES[case.family](operation.input_shape(case.batch), generator)
    draw = _integer if case.family == "integer" else _normal
    weight = draw(operation.weight_shape, generator)
    bias = draw((operation.out_channels,), generator) * SCALES.get(case.family, 1.0)
    return Inputs(x, weight, bias)
