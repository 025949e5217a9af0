"""The arguments of a launch as Triton's launcher hands them to the GPU: pointers, and scalars as they lie.

It follows `triton.backends.nvidia.driver`: constexpr arguments are compiled in, tuples are flattened, and a
tensor descriptor becomes its pointer, shape and strides where the target has no descriptors of its own.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from kernelgate.execution.launch_plan import SCALAR_BYTES, Scalar
from kernelgate.worker.fake_cuda.tensors import CudaLookalike
from kernelgate.worker.record.tape import CannotPlanError

_FLOATS = {"fp32": "<f", "f32": "<f", "fp64": "<d", "fp16": "<e"}


def lower_arguments(
    signature: Iterable[Any], arguments: Iterable[Any], metadata: Any
) -> Iterator[torch.Tensor | Scalar]:
    """Yield the parameters that the compiled kernel takes, but for scratch memory.

    Raises CannotPlanError for what no launch plan can say.
    """
    for kind, argument in zip(signature, arguments, strict=True):
        if isinstance(kind, tuple):
            yield from lower_arguments(kind, argument, metadata)
        elif kind == "constexpr":
            continue
        elif kind.startswith("tensordesc"):
            yield from _lower_descriptor(argument, metadata)
        elif kind.startswith("*"):
            yield _lower_pointer(argument)
        else:
            yield _lower_scalar(kind, argument)


def _lower_pointer(argument: Any) -> torch.Tensor | Scalar:
    if isinstance(argument, torch.Tensor):
        return _on_gpu(argument)
    if isinstance(base := getattr(argument, "base", None), torch.Tensor):
        return _on_gpu(base)  # a tensor seen as another type
    raise CannotPlanError("unplannable", f"a launch was given {type(argument).__name__} for a pointer")


def _on_gpu(tensor: torch.Tensor) -> torch.Tensor:
    if not isinstance(tensor, CudaLookalike):
        raise CannotPlanError("raises", "a launch was given a CPU tensor, which Triton cannot reach on a GPU")
    return tensor


def _lower_descriptor(descriptor: Any, metadata: Any) -> Iterator[torch.Tensor | Scalar]:
    if getattr(metadata, "tensordesc_meta", None):
        raise CannotPlanError("unplannable", "tensor descriptors that the host encodes are not planned yet")
    yield _lower_pointer(descriptor.base)
    whole = [*descriptor.shape, *descriptor.strides]
    yield from (_lower_scalar("i64", extent) for extent in whole)
    yield _lower_scalar("i1", descriptor.padding == "nan")
    if hasattr(descriptor, "round_f32_to_tf32"):  # from Triton 3.7 on
        yield _lower_scalar("i1", descriptor.round_f32_to_tf32)
    yield from (_lower_scalar("i32", extent) for extent in descriptor.shape)
    yield from (_lower_scalar("i64", stride) for stride in descriptor.strides)


def _lower_scalar(kind: str, value: Any) -> Scalar:
    kind = "fp32" if kind == "f32" else kind
    if kind in _FLOATS:
        return Scalar(kind=kind, bits=int.from_bytes(struct.pack(_FLOATS[kind], value), "little"))
    if kind == "bf16":
        return Scalar(kind=kind, bits=int.from_bytes(struct.pack("<f", value), "little") >> 16)
    if kind not in SCALAR_BYTES:
        raise CannotPlanError("unplannable", f"a launch has an argument of type {kind}")
    return Scalar(kind=kind, bits=int(value) & (2 ** (8 * SCALAR_BYTES[kind]) - 1))
