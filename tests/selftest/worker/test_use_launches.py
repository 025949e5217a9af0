"""What a call launches is told by its machine code, as it is once the autotuner has chosen."""

import hashlib
from typing import Any

import pytest
import torch
from torch import nn
from triton import knobs
from triton.compiler import CompiledKernel
from triton.compiler.compiler import LazyDict

from kernelgate import protocol
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.use import calls as use_calls
from kernelgate.worker.use.launches import name_launches
from kernelgate.worker.use.mode import UseMode
from tests.selftest.worker.test_use_mode import Honest, make_calls

CODES = {11: b"machine code of pack", 12: b"that of compute", 13: b"that of another configuration"}


def digest(function: int) -> str:
    return hashlib.sha256(CODES[function]).hexdigest()


@pytest.fixture
def compiled() -> list[CompiledKernel]:
    """Give a kernel of each code, as Triton keeps it once it is loaded, and one that is not loaded."""
    kernels = []
    for function, code in [*CODES.items(), (None, b"not loaded")]:
        kernel = object.__new__(CompiledKernel)
        kernel.function, kernel.asm = function, {"cubin": code}
        kernels.append(kernel)
    return kernels


def launch(function: int) -> None:
    """Tell the hook of a launch, as Triton's launcher does."""

    def refuse(*_: object) -> dict[str, Any]:
        raise AssertionError("the file's own launch_metadata was asked")

    metadata = LazyDict({"name": "a name", "function": function, "stream": 0})
    metadata.add(refuse, ())
    knobs.runtime.launch_enter_hook(metadata)


@pytest.mark.usefixtures("compiled")
def test_the_launches_of_a_call_after_the_choice_are_named_in_order() -> None:
    """Those of the first calls, which tune and prepare, are not among them; the hook is gone after it."""
    rounds = iter([[11, 12, 13, 13], [12], [12, 13, 12]])

    def call() -> None:
        for function in next(rounds):
            launch(function)

    assert name_launches(call) == tuple(map(digest, (12, 13, 12)))
    assert knobs.runtime.launch_enter_hook.calls == []


def test_the_hook_is_gone_after_a_call_that_fails() -> None:
    """What follows in the process is not listened to."""
    numbers = iter(range(3))

    def call() -> None:
        assert next(numbers) < 2

    with pytest.raises(AssertionError):
        name_launches(call)
    assert knobs.runtime.launch_enter_hook.calls == []


@pytest.mark.usefixtures("compiled")
def test_a_model_is_called_on_noise_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a script calls it, without gradients; nothing of the recipe's tensors is needed."""
    monkeypatch.setattr(use_calls, "DEVICE", "cpu")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    seen: list[tuple[int, bool, float]] = []

    class Launching(Honest):
        def answer(self, out: torch.Tensor) -> torch.Tensor:
            seen.append((out.shape[0], torch.is_grad_enabled(), float(out.std())))
            launch(12)
            return out

    mode = UseMode()
    mode.calls = make_calls(Launching)
    monkeypatch.setattr(mode.share, "take", lambda: False)
    assert mode.answer(protocol.NameLaunches(batch=3)) == protocol.Launched(cubins=(digest(12),))
    assert {(batch, gradients) for batch, gradients, _ in seen} == {(3, False)}
    assert len({deviation for *_, deviation in seen}) == len(seen) == 3
    assert isinstance(mode.calls.models[0][0], nn.Module)
    assert mode.calls.operation is ALEXNET_CONV1
