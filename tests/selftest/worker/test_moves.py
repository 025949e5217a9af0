"""What PyTorch is asked for in a call becomes copies and fills that give the same, or the call is refused."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kernelgate.execution.launch_plan import Buffer, Copy, Fill, Launch, Step, View
from kernelgate.operations.truth.reference import Tensors
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu
from kernelgate.worker.record.buffer_table import BufferTable
from kernelgate.worker.record.moves import Moves
from kernelgate.worker.record.tape import CannotPlanError, RawLaunch, Tape
from tests.selftest.support.executed_plan import execute
from tests.selftest.support.made_up_plans import make_launch

Call = Callable[[Tensor, Tensor, Tensor], object]
"""A call of x [2, 3, 4, 6], a weight [6, 5] and a bias [4]."""


def make_given() -> Tensors:
    """Return inputs of which no two elements are alike."""
    x = torch.arange(1.0, 145.0).view(2, 3, 4, 6)
    return {"x": x, "weight": -torch.arange(1.0, 31.0).view(6, 5), "bias": torch.arange(4.0) + 0.5}


class Recording(NamedTuple):
    """What a call gives as a plan has it, with the contents that it names."""

    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    answer: View
    filled: dict[str, bytes]

    def execute(self) -> Tensor:
        """Return the answer that the steps make."""
        return execute(self.buffers, self.steps, self.answer, self.filled)


Within = Callable[[], AbstractContextManager[object]]
WITHIN: list[Within] = [torch.no_grad, torch.inference_mode, torch.enable_grad]
"""How PyTorch hears of an operation that is made of others depends on these."""


def record(call: Call, folder: Path, within: Within = torch.no_grad) -> Recording:
    """Return the steps of a call; raises CannotPlanError, with the line of this file.

    While it is recorded the inputs hold NaN: no value of the plan can come from them.
    """
    given = make_given()
    filled = {name: bytes(tensor.untyped_storage()) for name, tensor in given.items()}
    for tensor in given.values():
        tensor.fill_(torch.nan)
    dressed: Tensors = {name: tensor.as_subclass(CudaLookalike) for name, tensor in given.items()}
    tape = Tape(__file__)
    tape.begin_call(dressed, [])
    with PretendedGpu() as gpu, Moves(tape, gpu), within():
        answer = call(*dressed.values())
    assert isinstance(answer, Tensor)
    buffers, steps, view = BufferTable(tape, folder).finish(answer)
    contents = {file.stem: file.read_bytes() for file in folder.glob("*.bin")}
    return Recording(buffers, steps, view, filled | contents)


def laid_out_apart(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def pieced(x: Tensor) -> Tensor:
    """Return x with a margin, as a wrapper that pads by hand writes it."""
    made = torch.empty(2, 3, 6, 8, device=x.device)
    made.fill_(-1)
    made[:, :, 1:-1, 1:-1] = x
    made[:, 0, 0].zero_()
    return made


def refilled(x: Tensor, b: Tensor) -> Tensor:
    """Return memory that is written three times, of which the last counts."""
    made = torch.zeros(4, 3, device=x.device)
    made.copy_(b[:, None])
    made[1:3] = x[0, 0, :2, :3]
    made[2, 1:] = 7
    return made


MOVES: dict[str, Call] = {
    "x": lambda x, _w, _b: x,
    "view": lambda x, _w, _b: x[1, :, 1::2].transpose(0, 1),
    "clone": lambda x, _w, _b: x.clone(),
    "clone-of-a-view": lambda x, _w, _b: x.transpose(1, 3).clone(),
    "clone-in-channels-last": lambda x, _w, _b: x.clone(memory_format=torch.channels_last),
    "channels-last": lambda x, _w, _b: laid_out_apart(x),
    "contiguous-again": lambda x, _w, _b: laid_out_apart(x).contiguous(),
    "reshape-that-copies": lambda x, _w, _b: x.permute(0, 2, 3, 1).reshape(-1, 3),
    "flattened": lambda x, _w, _b: x[..., ::2].flatten(),
    "cat": lambda x, _w, _b: torch.cat([x, x[:1]]),
    "cat-inside": lambda x, _w, _b: torch.cat([x[..., 3:], x[..., :2], x], dim=3),
    "cat-from-the-end": lambda x, _w, _b: torch.cat([x, x[:, :, 1:]], -2),
    "cat-with-nothing": lambda _x, w, _b: torch.cat([w[:0], w, w[:0], w[2:3]]),
    "cat-with-nothing-at-all": lambda x, w, _b: torch.cat([torch.empty(0, device=x.device), w], 1),
    "cat-with-a-new-one": lambda _x, w, _b: torch.cat([w, w.new_zeros(6, 3)], 1),
    "cat-that-widens": lambda _x, w, _b: torch.cat([w, w.double()]),
    "stack": lambda _x, w, _b: torch.stack([w, w.clone()]),
    "stack-inside": lambda _x, w, _b: torch.stack([w[:2], w[2:4], w[4:]], dim=1),
    "stack-at-the-end": lambda _x, w, _b: torch.stack([w, w], -1),
    "pad": lambda x, _w, _b: functional.pad(x, (2, 2, 2, 2)),
    "pad-by-a-value": lambda x, _w, _b: functional.pad(x, (0, 3, 1, 0, 0, 1), value=-2.5),
    "pad-by-infinity": lambda x, _w, _b: functional.pad(x, (1, 0), value=-torch.inf),
    "pad-that-crops": lambda x, _w, _b: functional.pad(x, (-1, -2, -1, 0)),
    "pad-that-crops-and-pads": lambda x, _w, _b: functional.pad(x, (-2, 3, 4, -1), value=9.0),
    "pad-that-leaves-nothing": lambda x, _w, _b: functional.pad(x, (-6, 2)),
    "pad-of-channels-last": lambda x, _w, _b: functional.pad(laid_out_apart(x), (1, 0, 0, 2)),
    "repeat": lambda x, _w, _b: x.repeat(2, 1, 3, 1),
    "repeat-in-front": lambda _x, w, _b: w.repeat(2, 3, 1, 2),
    "repeat-of-a-view": lambda _x, w, _b: w.t().repeat(3, 2),
    "repeat-no-times": lambda _x, w, _b: w.repeat(0, 2),
    "expand-and-copy": lambda _x, _w, b: b.expand(3, 4).contiguous(),
    "pixel-unshuffle": lambda x, _w, _b: functional.pixel_unshuffle(x, 2),
    "pixel-unshuffle-of-one": lambda x, _w, _b: functional.pixel_unshuffle(x[0], 2),
    "pixel-unshuffle-of-channels-last": lambda x, _w, _b: functional.pixel_unshuffle(
        laid_out_apart(x), 2
    ).contiguous(),
    "zeros": lambda x, _w, _b: torch.zeros(3, 4, device=x.device),
    "zeros-as-x": lambda x, _w, _b: torch.zeros_like(x[:, :, 1:]),
    "new-zeros": lambda x, _w, _b: x.new_zeros((5,), dtype=torch.int32),
    "ones": lambda x, _w, _b: torch.ones(2, 2, device=x.device, dtype=torch.float64),
    "ones-as-x": lambda x, _w, _b: torch.ones_like(x),
    "new-ones": lambda x, _w, _b: x.new_ones(7),
    "full": lambda x, _w, _b: torch.full((3, 2), 1.25, device=x.device),
    "full-of-nan": lambda x, _w, _b: torch.full((3, 2), torch.nan, device=x.device),
    "full-of-integers": lambda x, _w, _b: torch.full((3,), -7, device=x.device),
    "full-of-truth": lambda x, _w, _b: torch.full((3,), True, device=x.device),
    "full-as-x": lambda x, _w, _b: torch.full_like(x, fill_value=3.0),
    "new-full": lambda x, _w, _b: x.new_full((2, 2), -torch.inf),
    "zeroed": lambda x, _w, _b: x.clone().zero_(),
    "filled": lambda x, _w, _b: x.clone().fill_(2.5),
    "filled-by-an-element": lambda x, _w, b: torch.empty_like(x).fill_(b[2]),
    "filled-by-a-number-of-the-host": lambda x, _w, _b: torch.empty_like(x).fill_(torch.tensor(4.0)),
    "copy-by-broadcasting": lambda x, _w, b: torch.empty(3, 4, device=x.device).copy_(b),
    "copy-of-a-column": lambda x, _w, b: torch.empty(4, 3, device=x.device).copy_(b[:, None]),
    "copy-into-a-view": lambda x, _w, _b: pieced(x),
    "copies-over-copies": lambda x, _w, b: refilled(x, b),
    "copy-that-widens": lambda x, w, _b: torch.empty(6, 5, device=x.device, dtype=torch.float64).copy_(w),
    "widened": lambda _x, w, _b: w.double(),
    "widened-by-to": lambda _x, w, _b: w.to(torch.float64, memory_format=torch.contiguous_format),
    "widened-view": lambda _x, w, _b: w.t()[1:].double(),
    "same-type": lambda _x, w, _b: w.float(),
    "seen-as-another-type": lambda _x, w, _b: w.view(torch.int32)[::2].clone(),
    "table-of-the-host": lambda x, w, _b: torch.cat([w[0], torch.arange(5, device=x.device) * 0.5]),
}


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize("call", MOVES.values(), ids=MOVES.keys())
def test_the_steps_give_what_pytorch_gives(tmp_path: Path, call: Call, within: Within) -> None:
    """Value by value, in type, shape and layout; memory that no step writes is NaN here."""
    expected = call(*make_given().values())
    assert isinstance(expected, Tensor)
    got = record(call, tmp_path, within)
    executed = got.execute()
    assert (executed.dtype, executed.shape) == (expected.dtype, expected.shape)
    torch.testing.assert_close(executed, expected, rtol=0, atol=0, equal_nan=True)
    if expected.numel():
        assert got.answer.strides == expected.stride()


@pytest.mark.parametrize("call", MOVES.values(), ids=MOVES.keys())
def test_what_is_recorded_is_read_again(tmp_path: Path, call: Call) -> None:
    """JSON holds every number that a fill may have."""
    got = record(call, tmp_path)
    text = msgspec.json.encode(got.steps)
    assert repr(msgspec.json.decode(text, type=tuple[Step, ...])) == repr(got.steps)


def test_memory_that_nobody_fills_is_promised_to_nobody(tmp_path: Path) -> None:
    """It is a buffer, and no step."""
    got = record(lambda x, _w, _b: torch.empty_like(x), tmp_path)
    assert got.steps == ()
    assert got.buffers[got.answer.buffer] == Buffer(role="temporary", bytes=4 * 144)
    assert got.execute().isnan().all()


def test_a_table_of_the_host_is_a_constant(tmp_path: Path) -> None:
    """With its bytes in a file of their digest, once, however often it is used."""

    def call(x: Tensor, _w: Tensor, _b: Tensor) -> Tensor:
        table = torch.arange(6.0, device=x.device)
        return torch.cat([table, x[0, 0, 0], table])

    got = record(call, tmp_path)
    content = torch.arange(6.0).numpy().tobytes()
    name = hashlib.sha256(content).hexdigest()
    assert [buffer for buffer in got.buffers if buffer.role == "constant"] == [
        Buffer(role="constant", bytes=24, content=name)
    ]
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.bin"]
    assert all(isinstance(step, Copy) for step in got.steps)


REFUSED: dict[str, tuple[Call, str, str]] = {
    "cast-that-narrows": (lambda x, _w, _b: x.half(), "computes-outside", "float16 of float32"),
    "cast-to-integers": (lambda x, _w, _b: x.to(torch.int64), "computes-outside", "int64 of float32"),
    "copy-that-narrows": (
        lambda x, _w, b: torch.empty(4, dtype=torch.bfloat16, device=x.device).copy_(b),
        "computes-outside",
        "bfloat16 of float32",
    ),
    "item": (lambda x, _w, _b: x[0, 0, 0, 0].item(), "reads-values", "the host reads values"),
    "float": (lambda _x, _w, b: float(b[0]), "reads-values", "the host reads values"),
    "truth": (lambda x, _w, _b: bool(x[0, 0, 0, 0]), "reads-values", "the host reads values"),
    "equal": (lambda _x, w, _b: torch.equal(w, w.clone()), "reads-values", "aten.equal"),
    "nonzero": (lambda _x, w, _b: w.nonzero(), "reads-values", "aten.nonzero"),
    "matmul": (lambda _x, w, _b: w @ w.t(), "delegation", "aten.mm"),
    "matvec": (lambda _x, w, b: w[:4, :4] @ b, "delegation", "aten.mv"),
    "dot": (lambda _x, _w, b: b.dot(b), "delegation", "aten.dot"),
    "linear": (lambda x, w, _b: functional.linear(x[..., :5], w), "delegation", "aten."),
    "einsum": (lambda _x, w, _b: torch.einsum("ij,kj->ik", w, w), "delegation", "aten."),
    "conv": (lambda x, _w, _b: functional.conv2d(x, x), "delegation", "aten.convolution"),
    "sum": (lambda x, _w, _b: x.sum(), "computes-outside", "aten.sum"),
    "add": (lambda x, _w, _b: x + 1, "computes-outside", "aten.add"),
    "add-in-place": (lambda x, _w, _b: x.clone().add_(1), "computes-outside", "aten.add_"),
    "relu": (lambda x, _w, _b: functional.relu(x), "computes-outside", "aten.relu"),
    "unfold": (lambda x, _w, _b: functional.unfold(x, 2), "computes-outside", "aten.im2col"),
    "copy-into-x": (lambda x, _w, b: x[0, 0, :, 0].copy_(b), "inputs-intact", "moves data into x"),
    "fill-of-the-bias": (lambda _x, _w, b: b.zero_(), "inputs-intact", "moves data into bias"),
}


@pytest.mark.parametrize("within", WITHIN)
@pytest.mark.parametrize(("call", "reason", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_computes_or_reads_is_refused(
    tmp_path: Path, call: Call, reason: str, says: str, within: Within
) -> None:
    """With its reason, and with what PyTorch was asked for."""
    with pytest.raises(CannotPlanError, match=says) as caught:
        record(call, tmp_path, within)
    assert caught.value.reason == reason


def contract(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a product, on a line that the refusal must name."""
    kept = weight.clone()
    return functional.conv2d(x, kept[:3, None, None, :], bias[:3], groups=3)


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    """That of the kernel file, not of what it calls."""
    with pytest.raises(CannotPlanError) as caught:
        record(contract, tmp_path)
    assert caught.value.line == contract.__code__.co_firstlineno + 3


def test_a_refusal_that_the_file_catches_stands() -> None:
    """The first one, whatever is refused or allowed after it."""
    tape = Tape(__file__)
    x = torch.ones(2, 2).as_subclass(CudaLookalike)
    tape.begin_call({"x": x}, [])
    with PretendedGpu() as gpu, Moves(tape, gpu):
        with pytest.raises(CannotPlanError):
            x @ x
        with pytest.raises(CannotPlanError):
            x.sum()
        x.clone()
    assert tape.refused is not None
    assert tape.refused.reason == "delegation"


@pytest.mark.parametrize("within", WITHIN)
def test_an_operator_of_the_files_own_is_what_its_function_does(tmp_path: Path, within: Within) -> None:
    """Moves within it are steps, on a GPU that is still pretended; what computes within it is refused."""

    @torch.library.custom_op(f"kernelgate_test_{within.__name__}::moved", mutates_args=())
    def moved(x: Tensor) -> Tensor:
        assert x.is_cuda
        return torch.zeros(x.shape, device=x.device).copy_(x)

    @torch.library.custom_op(f"kernelgate_test_{within.__name__}::doubled", mutates_args=())
    def doubled(x: Tensor) -> Tensor:
        return x * 2

    @torch.library.custom_op(f"kernelgate_test_{within.__name__}::laid_out", mutates_args=())
    def laid_out(x: Tensor) -> Tensor:
        made = x.contiguous()
        assert made.is_cuda
        return made

    recording = record(lambda x, *_: moved(x), tmp_path, within)
    assert [type(step) for step in recording.steps] == [Fill, Copy]
    recording = record(lambda x, *_: laid_out(x.transpose(0, 1)), tmp_path, within)
    assert [type(step) for step in recording.steps] == [Copy]
    with pytest.raises(CannotPlanError, match=r"aten\.mul"):
        record(lambda x, *_: doubled(x), tmp_path, within)


def launched_on(tape: Tape, *tensors: Tensor) -> None:
    """Take note of a launch that may write every tensor."""
    tape.add(RawLaunch(make_launch(), list(tensors)))


@pytest.mark.parametrize(
    "act",
    [lambda table: table + 1, lambda table: table.add_(1), lambda table: table @ table],
    ids=["computes", "in-place", "product"],
)
def test_a_table_that_a_launch_was_given_is_no_table_of_the_host_any_more(
    act: Callable[[Tensor], object],
) -> None:
    """The launch may have written there: whatever is computed of it is of the GPU's memory."""
    tape = Tape(__file__)
    tape.begin_call({"x": torch.ones(4).as_subclass(CudaLookalike)}, [])
    with PretendedGpu() as gpu, Moves(tape, gpu):
        table = torch.arange(4.0, device="cuda")
        act(table)
        launched_on(tape, table)
        with pytest.raises(CannotPlanError):
            act(table)


def test_data_may_move_into_a_table_of_the_host(tmp_path: Path) -> None:
    """Its values go into the plan as a constant; what is written is memory of the call."""

    def call(x: Tensor, _w: Tensor, b: Tensor) -> Tensor:
        table = torch.arange(6.0, device=x.device)
        table[1:5] = b
        return table

    got = record(call, tmp_path)
    written = [got.buffers[step.target.buffer].role for step in got.steps if not isinstance(step, Launch)]
    assert "constant" not in written
    assert got.execute().tolist() == [0.0, 0.5, 1.5, 2.5, 3.5, 5.0]


def test_data_may_not_move_into_a_table_that_was_used_before(tmp_path: Path) -> None:
    """What a step has read stays what it was; no plan would say so."""

    def call(x: Tensor, _w: Tensor, b: Tensor) -> Tensor:
        table = torch.arange(6.0, device=x.device)
        joined = torch.cat([table, b])
        table[1:5] = b
        return joined

    with pytest.raises(CannotPlanError, match="a table of the host that was used before"):
        record(call, tmp_path)


def test_a_fill_and_a_copy_are_all_that_a_plan_has_of_pytorch(tmp_path: Path) -> None:
    """Padding is one of each, in this order."""
    got = record(lambda x, _w, _b: functional.pad(x, (1, 1)), tmp_path)
    assert [type(step) for step in got.steps] == [Fill, Copy]


def test_what_is_asked_of_pytorch_does_not_import_its_compiler() -> None:
    """It takes seconds, in every worker that records."""
    lines = (
        "import contextlib, sys, torch",
        "from kernelgate.worker.record.moves import Moves",
        "from kernelgate.worker.record.tape import Tape",
        "gpu = contextlib.nullcontext()",
        "with Moves(Tape('k.py'), gpu): torch.empty(3)",
        "assert 'torch._dynamo' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)
