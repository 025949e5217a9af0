"""Guard bands round the tensors of a launch: doubles are what the tensors are, and what breaks out shows."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from kernelgate.worker.gpu import guard_bands as guards
from kernelgate.worker.gpu.guard_bands import BAND_BYTES, GuardedLaunch


class Pair(NamedTuple):
    first: Tensor
    second: int


def guard(*arguments: Any) -> tuple[GuardedLaunch, list[Any]]:
    """Return a launch with its arguments in their doubles."""
    launch = GuardedLaunch(arguments, {})
    return launch, launch.arguments


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def beyond(double: Tensor, place: int) -> Tensor:
    """Return one element at that place from the double's first, wherever it lies."""
    return double.as_strided((1,), (1,), double.storage_offset() + place)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24.0).view(2, 3, 4),
        torch.arange(24.0).view(2, 3, 4).transpose(1, 2),
        torch.arange(24.0).view(2, 3, 4)[:, 1:, ::2],
        torch.arange(24.0).to(torch.float16)[5:],
        torch.arange(24.0, dtype=torch.float64)[3:],
        torch.arange(5, dtype=torch.int8)[1:],
        torch.tensor([True, False, True]),
    ],
    ids=["plain", "transposed", "sliced", "half", "double", "odd-bytes", "bool"],
)
def test_a_double_is_what_the_tensor_is(tensor: Tensor) -> None:
    """Values, type, strides and its place in its storage, at an address as round; in memory of its own."""
    launch, (double,) = guard(tensor)
    assert torch.equal(double, tensor)
    assert (double.dtype, double.stride()) == (tensor.dtype, tensor.stride())
    assert double.data_ptr() % 16 == tensor.data_ptr() % 16
    assert storage(double) != storage(tensor)
    assert launch.finish()[1] == 0


def test_views_of_one_storage_stay_views_of_one() -> None:
    """What a launch writes through one of them it reads through the other."""
    whole = torch.zeros(10)
    _, (first, second, other) = guard(whole[2:], whole.view(2, 5), torch.zeros(10))
    first[0] = 7
    assert second[0, 2] == 7
    assert storage(first) == storage(second) != storage(other)


def test_what_a_launch_changed_is_copied_back() -> None:
    """All of it, through any view; which storages those are is told, and others are not touched."""
    written, read = torch.zeros(4, 6), torch.ones(3)
    launch, (double, other) = guard(written[1:, ::2], read)
    double[0] = other.sum()
    assert written.sum() == 0
    assert launch.finish() == ({storage(written)}, 0)
    assert written[1].tolist() == [3, 0, 3, 0, 3, 0]
    assert written.sum() == 9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64, torch.int32], ids=str)
@pytest.mark.parametrize("place", [-1, 10, -100, 10_000], ids=["before", "after", "far-before", "far-after"])
def test_a_write_beyond_a_tensor_is_found(place: int, dtype: torch.dtype) -> None:
    """One element on either side; what was written inside is copied back all the same."""
    tensor = torch.zeros(10, dtype=dtype)
    launch, (double,) = guard(tensor)
    beyond(double, place).fill_(1)
    double[3] = 5
    changed, broken = launch.finish()
    assert changed == {storage(tensor)}
    assert 0 < broken <= tensor.element_size()
    assert tensor.tolist() == [0, 0, 0, 5, 0, 0, 0, 0, 0, 0]


def test_every_broken_band_counts() -> None:
    """Those of all tensors of the launch, and both of each."""
    launch, doubles = guard(torch.zeros(4), torch.zeros(8))
    for double in doubles:
        beyond(double, -1).fill_(1)
        beyond(double, len(double)).fill_(1)
    assert launch.finish()[1] == 16


def test_a_launch_that_changed_nothing_may_have_written_anything() -> None:
    """Zeros added, or the same answer once more: that is no sign that it did not work."""
    tensors = torch.zeros(4), torch.zeros(8)
    launch, _ = guard(*tensors)
    assert launch.finish() == ({storage(tensor) for tensor in tensors}, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_what_is_read_beyond_a_tensor_is_no_number(dtype: torch.dtype) -> None:
    """In every floating-point type, so that it shows in the answer."""
    _, (double,) = guard(torch.zeros(10, dtype=dtype))
    assert all(bool(beyond(double, place).isnan()) for place in (-1, 10, -1000, 1000))


def test_a_band_is_wider_than_an_image_of_the_output() -> None:
    """A tile of rows that a mask let through lands in it."""
    assert BAND_BYTES > 96 * 55 * 55 * 4
    _, (double,) = guard(torch.zeros(10))
    assert double.untyped_storage().nbytes() == 2 * BAND_BYTES + 40


def test_tensors_are_found_wherever_an_argument_holds_them() -> None:
    """In tuples, in descriptors, and among the named ones; what is no tensor stays."""
    tensors = [torch.full((3,), float(number)) for number in range(4)]
    descriptor = SimpleNamespace(base=tensors[1], block_shape=[1])
    nested = (tensors[0], (2, Pair(tensors[2], 9)))
    launch = GuardedLaunch([nested, descriptor, 5, "text"], {"weight": tensors[3], "BLOCK": 64})
    (first, (two, pair)), described, five, text = launch.arguments
    assert (two, pair.second, five, text, launch.named["BLOCK"]) == (2, 9, 5, "text", 64)
    assert isinstance(pair, Pair)
    assert descriptor.base is tensors[1]
    for value, double in enumerate([first, described.base, pair.first, launch.named["weight"]]):
        double.add_(10 + value)
    assert launch.finish() == ({storage(tensor) for tensor in tensors}, 0)
    assert [tensor[0].item() for tensor in tensors] == [10, 12, 14, 16]


def test_a_tensor_without_elements_is_left_as_it_is() -> None:
    """It has no memory to guard."""
    empty = torch.empty(0)
    full = torch.zeros(1)
    launch, (double, _) = guard(empty, full)
    assert double is empty
    assert launch.finish() == ({storage(full)}, 0)


def test_what_is_too_large_to_copy_is_given_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it counts as changed, since nobody can tell."""
    monkeypatch.setattr(guards, "MAX_GUARDED_BYTES", 79)
    first, second = torch.zeros(10), torch.zeros(10)
    launch, (given, other) = guard(first, second)
    assert given is first
    assert other is second
    assert launch.finish() == ({storage(first), storage(second)}, 0)
