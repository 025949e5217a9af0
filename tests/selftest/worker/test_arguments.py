"""A launch's arguments as the GPU gets them."""

from types import SimpleNamespace

import pytest
import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from kernelgate.worker.fake_cuda.tensors import CudaLookalike
from kernelgate.worker.record.arguments import lower_arguments
from kernelgate.worker.record.tape import CannotPlanError

METADATA = SimpleNamespace(tensordesc_meta=None)


def test_a_tensor_seen_as_another_type_is_the_tensor() -> None:
    """As a pointer, and within a descriptor."""
    tensor = torch.zeros(16, 16, dtype=torch.int16).as_subclass(CudaLookalike)
    seen = triton.reinterpret(tensor, tl.uint16)
    assert next(iter(lower_arguments(["*u16"], [seen], METADATA))) is tensor
    described = TensorDescriptor(seen, [16, 16], [16, 1], [8, 8])
    assert next(iter(lower_arguments(["tensordesc<u16[8, 8]>"], [described], METADATA))) is tensor


@pytest.mark.parametrize("kind", ["*fp32", "tensordesc<fp32[8, 8]>"])
def test_a_tensor_of_the_cpu_is_refused(kind: str) -> None:
    """No GPU reaches it."""
    tensor = torch.zeros(16, 16)
    argument = TensorDescriptor.from_tensor(tensor, [8, 8]) if kind.startswith("t") else tensor
    with pytest.raises(CannotPlanError, match="CPU tensor"):
        next(iter(lower_arguments([kind], [argument], METADATA)))
