"""CPU tensors that pass for a GPU's: what they say of themselves, and what the host may not do with them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kernelgate.worker.fake_cuda.tensors import CUDA, CudaLookalike, PretendedGpu, dress_model, plain
from kernelgate.worker.tensors.poison import fill_with_bits


@pytest.fixture
def pretence() -> Iterator[PretendedGpu]:
    pretence = PretendedGpu()
    with pretence:
        yield pretence


@pytest.fixture
def x(pretence: PretendedGpu) -> Tensor:  # noqa: ARG001 - within it
    return torch.ones(4, 3, device="cuda")


MAKERS: dict[str, Callable[[Tensor], Tensor]] = {
    "device": lambda _: torch.empty(3, device="cuda:0"),
    "device-of-x": lambda x: torch.empty(3, device=x.device),
    "like-x": torch.empty_like,
    "new-from-x": lambda x: x.new_zeros(3),
    "moved": lambda _: torch.ones(3).cuda(),
    "sent": lambda _: torch.ones(3).to("cuda"),
    "sent-by-device": lambda x: torch.ones(3).to(x.device, torch.float16),
    "computed": lambda x: x * 2 + 1,
    "view": lambda x: x.t()[1:].contiguous(),
    "joined": lambda x: torch.cat([x, x]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_what_is_made_on_cuda_says_that_it_is_there(x: Tensor, make: Callable[[Tensor], Tensor]) -> None:
    """In every way of asking for it, and whatever is made of it."""
    made = make(x)
    assert isinstance(made, CudaLookalike)
    assert (made.is_cuda, made.device, made.get_device()) == (True, CUDA, 0)
    assert not plain(made).is_cuda


def test_what_is_made_on_the_cpu_stays_there(x: Tensor) -> None:
    """As do copies of x that were asked for."""
    assert x.is_cuda
    assert not torch.empty(3).is_cuda
    assert not x.cpu().is_cuda


@pytest.mark.parametrize(
    "act",
    [Tensor.cpu, Tensor.tolist, lambda x: x.to("cpu"), lambda x: x.to(device=torch.device("cpu"))],
    ids=["cpu", "tolist", "to", "to-device"],
)
def test_a_copy_to_the_host_is_noted(
    x: Tensor, pretence: PretendedGpu, act: Callable[[Tensor], object]
) -> None:
    """With the tensor whose values it took; a copy to a GPU or of a CPU tensor is none."""
    noted: list[Tensor] = []
    pretence.on_host_read = noted.append
    x.to("cuda")
    act(torch.ones(2))
    assert noted == []
    act(x)
    assert [tensor.data_ptr() for tensor in noted] == [x.data_ptr()]


@pytest.mark.parametrize("act", [Tensor.numpy, np.asarray], ids=["numpy", "asarray"])
def test_a_view_by_numpy_is_refused(x: Tensor, act: Callable[[Any], object]) -> None:
    """As torch refuses it for a tensor of a GPU."""
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        act(x)


ZEROS: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros": lambda _: torch.zeros(4, 3),
    "zeros-on-cuda": lambda _: torch.zeros((4, 3), device="cuda", dtype=torch.int32),
    "zeros-like": torch.zeros_like,
    "new-zeros": lambda x: x.new_zeros(4, 3),
    "to-be-learned": lambda _: torch.zeros(4, 3, requires_grad=True),
}


@pytest.mark.parametrize("make", ZEROS.values(), ids=ZEROS.keys())
def test_zeros_are_zero_however_they_are_read(x: Tensor, make: Callable[[Tensor], Tensor]) -> None:
    """Also by what no one sees reading."""
    for _ in range(20):
        torch.full((4, 3), 7.0)  # leaves memory behind that holds something else
        assert make(x).tolist() == [[0] * 3] * 4


def test_a_model_is_dressed_whole() -> None:
    """Parameters and buffers, of every module in it; their values stay."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = [tensor.clone() for tensor in model.state_dict().values()]
    dress_model(model)
    assert all(parameter.is_cuda for parameter in model.parameters())
    assert all(buffer.is_cuda for buffer in model.buffers())
    for was, tensor in zip(before, model.state_dict().values(), strict=True):
        assert torch.equal(was, plain(tensor))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_poison_of_a_float_is_no_plausible_number(dtype: torch.dtype) -> None:
    """The bits that were asked for, or NaN."""
    filled = torch.zeros(4, dtype=dtype)
    fill_with_bits(filled, 0xFFC00123)
    assert filled.isnan().all()


@pytest.mark.parametrize("bits", [0x7F800000, 0x3FC00000], ids=["infinity", "plausible"])
def test_poison_of_float32_has_exactly_the_bits_that_were_asked_for(bits: int) -> None:
    """A kernel that computes only where it sees NaN has existed."""
    filled = torch.zeros(4)
    fill_with_bits(filled, bits)
    assert filled.view(torch.int32).tolist() == [bits] * 4
