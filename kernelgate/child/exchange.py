"""Tensors in and out of a contestant as raw float32 files."""

from pathlib import Path

import numpy as np
import torch

from kernelgate.operations import Convolution


def read_inputs(
    operation: Convolution, batch: int, x: str, weight: str, bias: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return x, weight and bias of the named files on the CPU; the files cannot be changed through them."""
    return (
        _read(x, operation.input_shape(batch)),
        _read(weight, operation.weight_shape),
        _read(bias, (operation.out_channels,)),
    )


def write_output(output: torch.Tensor, file: str) -> None:
    """Write a tensor's values in row-major order, whatever its strides."""
    output.detach().contiguous().cpu().numpy().tofile(file)


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Return whether two float32 tensors agree bit for bit, NaN included."""
    return torch.equal(first.view(torch.int32), second.view(torch.int32))


def _read(file: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.fromfile(Path(file), dtype=np.float32).reshape(shape))
