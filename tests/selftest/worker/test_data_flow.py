"""Who computed the answer: PyTorch may move what x holds, and only launches may compute with it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional

from tests.selftest.support.witnessed import WatchedCall


@pytest.fixture
def call() -> WatchedCall:
    return WatchedCall()


Act = Callable[[Tensor, Tensor], object]

CONTRACTIONS: dict[str, Act] = {
    "conv2d": functional.conv2d,
    "linear": lambda x, w: functional.linear(x.flatten(1), w.new_ones(5, 256)),
    "linear-with-bias": lambda x, w: functional.linear(x.flatten(1), w.new_ones(5, 256), w.new_ones(5)),
    "unfold-and-matmul": lambda x, w: w.flatten(1) @ functional.unfold(x, 3),
    "mm": lambda x, _: torch.mm(x[0, 0], x[0, 1]),
    "mv": lambda x, _: torch.mv(x[0, 0], x[0, 1, 0]),
    "dot": lambda x, _: torch.dot(x[0, 0, 0], x[0, 0, 1]),
    "bmm": lambda x, _: torch.bmm(x[0], x[1]),
    "addmm": lambda x, _: torch.addmm(x[0, 0], x[0, 1], x[0, 2]),
    "baddbmm": lambda x, _: torch.baddbmm(x[0], x[0], x[1]),
    "einsum": lambda x, w: torch.einsum("nchw,ocij->no", x, w),
    "tensordot": lambda x, w: torch.tensordot(x[:, :, :3, :3], w, dims=([1, 2, 3], [1, 2, 3])),
    "attention": lambda x, _: functional.scaled_dot_product_attention(x, x, x),
    "fourier": lambda x, _: torch.fft.rfft(x),
    "conv1d": lambda x, w: functional.conv1d(x[0, :, 0], w[:, :, 0, :1]),
    "conv-transpose": lambda x, w: functional.conv_transpose2d(x[:, :1].expand(2, 6, 8, 8), w),
}


@pytest.mark.parametrize("of_x", [True, False], ids=["of-x", "of-weights"])
@pytest.mark.parametrize("act", CONTRACTIONS.values(), ids=CONTRACTIONS.keys())
def test_a_contraction_by_torch_is_found(call: WatchedCall, act: Act, *, of_x: bool) -> None:
    """However it is spelled, and whatever takes part in it."""
    first = call.x if of_x else call.x.clone()
    with call.witness:
        act(first, call.weight)
    assert call.witness.found


ARITHMETIC: dict[str, Act] = {
    "times": lambda x, _: x * 1.0,
    "plus": lambda x, _: x + 0,
    "in-place": lambda x, _: x.mul_(2),
    "into-out": lambda x, w: torch.add(x, 1, out=w.new_empty(2, 4, 8, 8)),
    "sum": lambda x, _: x.sum(),
    "mean": lambda x, _: functional.avg_pool2d(x, 2),
    "maximum": lambda x, _: functional.max_pool2d(x, 2),
    "relu": lambda x, _: functional.relu(x),
    "choice": lambda x, w: torch.where(x > 0, w[0, 0, 0, 0], 0),
    "cumulative": lambda x, _: x.cumsum(0),
    "fold": lambda x, _: functional.fold(x.reshape(2, 64, 4), (3, 3), (2, 2))[0],
    "scattered-sum": lambda x, w: w.new_zeros(256).index_add_(0, torch.arange(256), x[0].flatten()),
    "accumulated": lambda x, w: w.index_put_(
        (torch.zeros(6, dtype=torch.int64),), x[0, 0, 0, 0], accumulate=True
    ),
    "scattered-product": lambda x, _: x[0, 0].scatter_(0, torch.zeros(4, 8).long(), 2.0, reduce="multiply"),
    "item": lambda x, _: x[0, 0, 0, 0].item(),
    "comparison": lambda x, _: torch.equal(x, x),
}


@pytest.mark.parametrize("act", ARITHMETIC.values(), ids=ARITHMETIC.keys())
def test_arithmetic_on_x_is_found(call: WatchedCall, act: Act) -> None:
    """Sums, scales and choices are the kernel's work."""
    with call.witness:
        act(call.x, call.weight)
    assert call.witness.found


MOVEMENT: dict[str, Callable[[Tensor], object]] = {
    "clone": lambda x: x.clone(),
    "contiguous": lambda x: x.transpose(2, 3).contiguous(),
    "channels-last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "permute": lambda x: x.permute(0, 2, 3, 1).reshape(-1, 4),
    "half": lambda x: x.half().float(),
    "as-type": lambda x: x.to(torch.bfloat16),
    "bits": lambda x: x.view(torch.int32),
    "pad": lambda x: functional.pad(x, (2, 2, 2, 2)),
    "reflect": lambda x: functional.pad(x, (2, 2, 2, 2), mode="reflect"),
    "unfold": lambda x: functional.unfold(x, 3),
    "windows": lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1),
    "space-to-depth": lambda x: functional.pixel_unshuffle(x, 2),
    "parts": lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1),
    "stack": lambda x: torch.stack(x.unbind(0)),
    "split": lambda x: [part.clone() for part in x.split(1)],
    "slice": lambda x: x[:, :, 1:-1, ::2].clone(),
    "index": lambda x: x[torch.tensor([1, 0])],
    "gather": lambda x: torch.index_select(x, 0, torch.tensor([1, 0])),
    "expand": lambda x: x[None].expand(3, 2, 4, 8, 8).contiguous(),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "flip": lambda x: x.flip(3),
    "roll": lambda x: x.roll(1, 0),
    "strided": lambda x: torch.as_strided(x, (2, 2), (1, 1)),
    "into-buffer": lambda x: torch.cat([torch.zeros(2, 4, 10, 10)[:, :, 1:9, 1:9].copy_(x)]),
    "assigned": lambda x: torch.empty(2, 4, 8, 8).__setitem__(slice(None), x),
    "detach": lambda x: x.detach(),
    "shape": lambda x: (torch.empty_like(x), torch.zeros_like(x), x.new_zeros(3), x.shape, x.stride()),
}


@pytest.mark.parametrize("act", MOVEMENT.values(), ids=MOVEMENT.keys())
def test_movement_of_x_is_allowed(call: WatchedCall, act: Callable[[Tensor], object]) -> None:
    """Any order, layout and type that a launch may want it in."""
    with call.witness:
        act(call.x)
    assert call.witness.found == []


MOVED = {name: act for name, act in MOVEMENT.items() if name not in ("assigned", "shape")}


@pytest.mark.parametrize("act", MOVED.values(), ids=MOVED.keys())
def test_arithmetic_on_x_that_was_moved_is_found(call: WatchedCall, act: Callable[[Tensor], object]) -> None:
    """Through views, copies, casts and buffers."""
    with call.witness:
        moved = act(call.x)
        (moved if isinstance(moved, Tensor) else moved[0]).abs()  # type: ignore[index]
    assert call.witness.found == ["PyTorch computed aten.abs on values of x"]


def test_arithmetic_on_memory_that_x_was_written_into_is_found(call: WatchedCall) -> None:
    """By assignment, by a copy into a view of it, and by scattering."""
    index = torch.arange(2)[:, None, None, None].expand(2, 4, 8, 8)
    writes: list[Callable[[Tensor], object]] = [
        lambda buffer: buffer.__setitem__(slice(None), call.x),
        lambda buffer: buffer.view(2, 256)[:, :64].copy_(call.x[:, 0].flatten(1)),
        lambda buffer: buffer.scatter_(0, index, call.x),
        lambda buffer: buffer.index_copy_(0, torch.arange(2), call.x),
    ]
    for write in writes:
        call.witness.found.clear()
        buffer = torch.zeros(2, 4, 8, 8)
        with call.witness:
            buffer.abs()
            assert call.witness.found == []
            write(buffer)
            buffer.abs()
        assert call.witness.found == ["PyTorch computed aten.abs on values of x"]


def test_arithmetic_on_what_a_launch_made_of_x_is_found(call: WatchedCall) -> None:
    """The last product belongs to the kernel as much as the first."""
    assert call.judge(lambda call: call.launched() + 1)[0] == "PyTorch computed aten.add on values of x"


def test_weights_may_be_prepared_by_arithmetic(call: WatchedCall) -> None:
    """And the launch that reads them and x makes the answer."""

    def prepare(call: WatchedCall) -> Tensor:
        prepared = ((call.weight * 2).relu() + call.weight.abs().amax()).half()
        packed = functional.pad(prepared, (0, 1)).flatten(1).t().contiguous()
        out = torch.empty(2, 6, 8, 8)
        call.launch([call.x, packed], [out])
        return out

    assert call.judge(prepare) == []


def test_what_a_launch_made_of_weights_alone_may_be_computed_with(call: WatchedCall) -> None:
    """No value of x is in it."""
    packed = torch.empty_like(call.weight)
    with call.witness:
        call.launch([call.weight], [packed])
        packed.mul_(2)
    assert call.witness.found == []


def test_values_of_x_on_the_host_are_found(call: WatchedCall) -> None:
    """Those of x and of what was made of it; those of weights may be looked at."""
    call.witness.note_host_read(call.weight)
    assert call.witness.found == []
    call.witness.note_host_read(call.x[0])
    assert call.witness.found == ["values of x were copied to the host"]


def test_only_what_is_asked_for_uninitialised_is_filled(call: WatchedCall) -> None:
    """In every way of asking for it, and nothing that PyTorch wrote."""
    with call.witness:
        asked = [
            torch.empty(3),
            torch.empty_like(call.x),
            torch.empty_strided((2, 2), (2, 1)),
            call.x.new_empty(4),
            torch.empty_like(call.x, dtype=torch.float16),
        ]
        torch.zeros(3), torch.ones(3), call.x.clone(), torch.full((2,), 1.0)
    assert [t.data_ptr() for t in call.filled] == [t.data_ptr() for t in asked]


def test_what_an_operation_reads_is_told_before(call: WatchedCall) -> None:
    """Not where it looks at the shape alone, and not for a view."""
    with call.witness:
        torch.empty_like(call.x), call.x.view(2, -1), call.x[1:]
        assert call.read == []
        call.x.clone()
        assert [t.data_ptr() for t in call.read] == [call.x.data_ptr()]


def test_memory_is_given_back_during_a_call(call: WatchedCall) -> None:
    """A file that works in parts needs no more of it for being watched."""
    with call.witness:
        parts = [StorageWeakRef(torch.zeros(1000).untyped_storage()) for _ in range(20)]
        assert all(part.expired() for part in parts)


def test_what_was_freed_lends_nothing_to_what_comes_to_lie_there(call: WatchedCall) -> None:
    """Neither that a launch wrote it, nor that it held values of x."""

    def in_its_place(call: WatchedCall) -> torch.Tensor:
        memory = np.zeros((2, 6, 8, 8), dtype=np.float32)
        call.launch([call.x, call.weight], [torch.from_numpy(memory)])
        return torch.from_numpy(memory).add_(1)

    assert call.judge(in_its_place) == [
        "the answer lies in memory that no launch of this call wrote, reading x"
    ]
