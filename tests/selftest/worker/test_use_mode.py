"""The file called as users call it: an honest one answers alike in every way, and each way shows a cheat."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kernelgate import protocol
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.worker.use import calls as use_calls
from kernelgate.worker.use import ways
from kernelgate.worker.use.calls import ModelCalls

RECIPE = Recipe(family="normal", seed=1, batch=2)


class Honest(nn.Module):
    """The layer itself; what another model does beside it is in `answer`."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.classes = num_classes
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.answer(self.conv1(x).detach())

    def answer(self, out: torch.Tensor) -> Any:
        return out


@pytest.fixture(autouse=True)
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU stand for the GPU, and a stream for what is current while it is entered."""
    streams = [SimpleNamespace(wait_stream=lambda _: None)]

    @contextlib.contextmanager
    def enter(stream: Any) -> Iterator[None]:
        streams.append(stream)
        yield
        streams.pop()

    monkeypatch.setattr(use_calls, "DEVICE", "cpu")
    monkeypatch.setattr(ways, "MANY_CALLS", 30)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: SimpleNamespace(wait_stream=lambda _: None))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams[-1])
    monkeypatch.setattr(torch.cuda, "stream", enter)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)


def make_calls(model: type[nn.Module] = Honest) -> ModelCalls:
    module: Any = ModuleType("kernel")
    module.ModelNew = model
    return ModelCalls(ALEXNET_CONV1, module)


def use(
    calls: ModelCalls, folder: Path, way: Way = Way.PLAINLY, recipe: Recipe = RECIPE, **more: Any
) -> tuple[protocol.Ran, np.ndarray]:
    ran = calls.run(protocol.UseOne(recipe=recipe, layout="contiguous", way=way, **more))
    out = folder / "out.f32"
    calls.send(protocol.SendRun(out=str(out), places=""))
    return ran, np.fromfile(out, dtype=np.uint32)


def truth(recipe: Recipe = RECIPE) -> np.ndarray:
    made = make_tensors(ALEXNET_CONV1, recipe)
    answer: np.ndarray = (
        torch.conv2d(made["x"], made["weight"], made["bias"], 4, 2).numpy().ravel().view(np.uint32)
    )
    return answer


@pytest.mark.parametrize("way", Way)
def test_an_honest_model_answers_alike_in_every_way(way: Way, tmp_path: Path) -> None:
    """With the parameters of the recipe, which are as they were afterwards; as is x."""
    calls = make_calls()
    ran, bits = use(calls, tmp_path, way)
    assert np.array_equal(bits, truth())
    assert (ran.returned, ran.shape, ran.inputs_intact, ran.earlier_intact) == (
        "Tensor",
        ALEXNET_CONV1.output_shape(2),
        True,
        True,
    )
    assert np.array_equal(use(calls, tmp_path)[1], truth())


class Cheats(Honest):
    """Answers twice what it should where `sees` says so."""

    made = called = 0

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__(num_classes)
        self.first_weight: Any = None

    def answer(self, out: torch.Tensor) -> torch.Tensor:
        type(self).called += 1
        return 2 * out if self.sees() else out

    def sees(self) -> bool:
        raise NotImplementedError


def keeps(model: Any, key: Any) -> bool:
    """Whether a model holds something else than when it was first called."""
    model.first_weight = key if model.first_weight is None else model.first_weight
    return bool(model.first_weight != key)


SEES: dict[Way, Any] = {
    Way.EVAL: lambda model: not model.training,
    Way.GRADIENTS: lambda _: torch.is_grad_enabled(),
    Way.INFERENCE: lambda _: torch.is_inference_mode_enabled(),
    Way.AUTOCAST: lambda _: torch.is_autocast_enabled("cuda"),
    Way.STREAM: lambda _: not hasattr(torch.cuda.current_stream(), "first"),
    Way.THREAD: lambda _: threading.current_thread() is not threading.main_thread(),
    Way.CLASSES: lambda model: model.classes != 1000,
    Way.IN_PLACE: lambda model: keeps(model, float(model.conv1.weight[0, 0, 0, 0])),
    Way.REPLACED: lambda model: keeps(model, id(model.conv1.weight)),
    Way.STATE_DICT: lambda model: keeps(model, float(model.conv1.weight[0, 0, 0, 0])),
    Way.MANY: lambda model: type(model).called > 20,
    Way.COPY: lambda model: getattr(model, "copied", False),
    Way.WITHIN: lambda _: "_Outer" in {type(f).__name__ for f in callers()},
}


def callers() -> list[object]:
    import sys  # noqa: PLC0415 - only a cheat looks at its callers

    frame, found = sys._getframe(1), []
    while frame is not None:
        found.append(frame.f_locals.get("self"))
        frame = frame.f_back  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("way", SEES)
def test_each_way_shows_who_does_something_else_in_it(way: Way, tmp_path: Path) -> None:
    """What such a model answers there is not what it answers plainly."""
    torch.cuda.current_stream().first = True  # type: ignore[attr-defined]

    class Cheat(Cheats):
        def sees(self) -> bool:
            return bool(SEES[way](self))

        def __deepcopy__(self, memo: Any) -> "Cheat":
            fresh = Cheat()
            fresh.load_state_dict(self.state_dict())
            fresh.copied = True
            return fresh

    assert np.array_equal(use(make_calls(Cheat), tmp_path)[1], truth()), "plainly it is right"
    Cheat.called = 0
    assert not np.array_equal(use(make_calls(Cheat), tmp_path, way)[1], truth())


def test_the_calls_of_a_model_are_made_on_its_own_parameters(tmp_path: Path) -> None:
    """Two models have two sets of them; a bias can be left out."""
    calls = make_calls()
    other = Recipe(family="normal", seed=2, batch=2)
    bare = Recipe(family="normal", seed=1, batch=2, absent=("bias",))
    for recipe, model in ((RECIPE, 0), (other, 1), (RECIPE, 0), (bare, 0), (RECIPE, 0)):
        assert np.array_equal(use(calls, tmp_path, recipe=recipe, model=model)[1], truth(recipe))


def test_the_same_storage_is_filled_again(tmp_path: Path) -> None:
    """With other contents, as a loop over batches does."""
    calls = make_calls()
    use(calls, tmp_path)
    before = calls.inputs["x"].data_ptr()
    other = Recipe(family="normal", seed=2, batch=2)
    assert np.array_equal(use(calls, tmp_path, recipe=other, same_storage=True)[1], truth(other))
    assert calls.inputs["x"].data_ptr() == before


class KeepsMemory(Honest):
    """Hands out the same memory each time."""

    def answer(self, out: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "kept"):
            self.kept = torch.empty_like(out)
        return self.kept.copy_(out)


def test_memory_that_is_handed_out_twice_is_seen(tmp_path: Path) -> None:
    """An answer of an earlier call has changed by then."""
    calls = make_calls(KeepsMemory)
    assert use(calls, tmp_path)[0].earlier_intact
    other = Recipe(family="normal", seed=2, batch=2)
    assert not use(calls, tmp_path, recipe=other)[0].earlier_intact


@pytest.mark.parametrize("what", ["x", "weight", "bias"])
def test_an_input_that_is_changed_is_seen(what: str, tmp_path: Path) -> None:
    """Bit for bit."""

    class Changes(Honest):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.conv1(x).detach()
            changed: Any = x if what == "x" else getattr(self.conv1, what)
            with torch.no_grad():
                changed.view(-1)[3] += 1.0
            return out

    assert not use(make_calls(Changes), tmp_path)[0].inputs_intact


@pytest.mark.parametrize(("spoil", "returned"), [(lambda out: [out], "list"), (lambda _: None, "NoneType")])
def test_what_is_no_tensor_is_named(spoil: Any, returned: str) -> None:
    """By its type; a tensor's class of a file's own is none either."""

    class Spoils(Honest):
        def answer(self, out: torch.Tensor) -> Any:
            return spoil(out)

    ran = make_calls(Spoils).run(protocol.UseOne(recipe=RECIPE, layout="contiguous"))
    assert ran.returned == returned


def test_every_way_has_what_is_done_in_it() -> None:
    """The judge asks by name."""
    assert set(ways.WAYS) == set(Way)
