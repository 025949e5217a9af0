"""What a timed contestant asks of the GPU is followed: kernels, streams, graphs, and who computes."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from triton.compiler import CompiledKernel
from triton.runtime.jit import JITFunction

from kernelgate.child import launches as module
from kernelgate.child.launches import Launches, who_computed

STREAM = object()
X = torch.ones(4)


class Driver:
    """In the place of Triton's: a launch adds one to the first tensor, and loads a kernel once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads: list[str] = []
        monkeypatch.setattr(JITFunction, "run", self.run)
        monkeypatch.setattr(CompiledKernel, "_init_handles", self.load)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: self.capturing)
        monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_end", lambda _graph: None)
        monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda _graph: self.kept())
        monkeypatch.setattr(module, "outside_help", lambda: ())
        self.capturing = False
        self.kept: Callable[[], Any] = lambda: None

    def run(self, *arguments: Any, **_: Any) -> str:
        x, out = (each for each in arguments if isinstance(each, torch.Tensor))
        if self.capturing:
            self.kept = lambda: out.detach().copy_(x)
        else:
            with torch.utils._python_dispatch._disable_current_modes():
                out.copy_(x + 1)
        return "launched"

    def load(self, kernel: Any) -> None:
        self.loads.append(kernel.name)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


@pytest.fixture
def launches(driver: Driver) -> Iterator[Launches]:
    followed = Launches(lambda: STREAM)
    followed.follow()
    yield followed
    del driver
    gc.collect()


def launch(x: torch.Tensor, out: torch.Tensor) -> object:
    return JITFunction.run(cast("Any", SimpleNamespace()), x, out, grid=(1,), warmup=False)


def load(name: str, asm: dict[str, str] | None = None) -> Any:
    kernel = SimpleNamespace(name=name, asm=asm, module=1, _run=1)
    CompiledKernel._init_handles(cast("Any", kernel))
    return kernel


def test_the_streams_of_launches_are_known(launches: Launches) -> None:
    """And a launch returns what it did."""
    assert launches.streams == set()
    assert launch(X, torch.zeros(4)) == "launched"
    assert launches.streams == {STREAM}


def test_all_that_was_loaded_is_unloaded(launches: Launches, driver: Driver) -> None:
    """However it is launched: so that the next launch loads it elsewhere."""
    kernels = [load("first"), load("second")]
    assert driver.loads == ["first", "second"]
    launches.unload()
    assert all(kernel.module is None and kernel._run is None for kernel in kernels)


def test_all_that_was_loaded_is_told_once(
    launches: Launches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its PTX and what it was made of, in files of the contestant's folder."""
    monkeypatch.chdir(tmp_path)
    kernel = load("first", {"ptx": "mma", "ttir": "dot"})
    CompiledKernel._init_handles(kernel)
    load("second", {"ptx": "fma", "ttir": "add"})
    first, second = launches.describe().kernels
    assert (first.kernel, second.kernel) == ("first", "second")
    files = (first.ptx_file, first.ttir_file, second.ptx_file, second.ttir_file)
    assert [Path(file).read_text() for file in files] == ["mma", "dot", "fma", "add"]
    assert {Path(file).parent for file in files} == {tmp_path}


def answered(launches: Launches, call: Callable[[torch.Tensor], object]) -> tuple[str, ...]:
    """Return what is found in a call that is watched."""
    x = torch.ones(4)
    with launches.watched(x) as witness:
        answer = call(x)
    return who_computed(witness, answer)


def by_launch(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty(4)
    launch(x, out)
    return out


def test_a_call_that_launches_its_answer_delegates_nothing(launches: Launches) -> None:
    """PyTorch may make memory, and move what is in it."""
    assert answered(launches, by_launch) == ()
    assert answered(launches, lambda x: by_launch(x.clone()).reshape(2, 2).clone()) == ()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: x * 2, "aten.mul on values of x"),
        (lambda x: torch.dot(x, x).expand(4), "PyTorch computed aten.dot"),
        (lambda x: (by_launch(x), torch.ones(4))[1], "no launch of this call wrote"),
        (lambda x: by_launch(x) + 1, "aten.add on values of x"),
    ],
    ids=["times", "product", "other-memory", "after-a-launch"],
)
def test_what_somebody_else_computes_is_found(
    launches: Launches, call: Callable[[torch.Tensor], object], says: str
) -> None:
    """In that call, and no longer after it."""
    assert any(says in found for found in answered(launches, call))
    assert answered(launches, by_launch) == ()


def test_outside_help_is_found_too(launches: Launches, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process started or opened."""
    monkeypatch.setattr(module, "outside_help", lambda: ("the process started true",))
    assert answered(launches, by_launch) == ("the process started true",)


def test_what_is_no_tensor_is_left_to_those_who_judge_answers(launches: Launches) -> None:
    """It is found when it is sent."""
    assert answered(launches, lambda _: None) == ()


def test_a_graph_that_was_captured_before_launches_when_it_is_replayed(
    launches: Launches, driver: Driver
) -> None:
    """Into what it was given then."""
    held, out = torch.zeros(4), torch.zeros(4)
    graph: Any = torch.cuda.CUDAGraph.__new__(torch.cuda.CUDAGraph)
    driver.capturing = True
    launch(held, out)
    driver.capturing = False
    torch.cuda.CUDAGraph.capture_end(graph)

    def replay(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(graph)
        return out

    def replay_another(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(cast("Any", SimpleNamespace()))
        return out

    assert answered(launches, replay) == ()
    assert answered(launches, replay_another) != ()
