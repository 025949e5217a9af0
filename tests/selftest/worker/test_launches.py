"""What a timed worker asks of the GPU is followed: kernels, streams, graphs, and who computes."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn
from triton.compiler import CompiledKernel
from triton.runtime.jit import JITFunction

from kernelgate.worker.gpu.site import GpuSite
from kernelgate.worker.watch import launches as module
from kernelgate.worker.watch.data_flow import Witness
from kernelgate.worker.watch.graphs import Captured
from kernelgate.worker.watch.launches import Launches, who_computed

STREAM = object()
X = torch.ones(4)


class Driver:
    """In the place of Triton's: a launch adds one to the first tensor, and loads a kernel once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loads: list[tuple[str, str]] = []
        monkeypatch.setattr(JITFunction, "run", self.run)
        monkeypatch.setattr(CompiledKernel, "_init_handles", self.load)
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: self.capturing)
        monkeypatch.setattr(CompiledKernel, "__init__", self.make)
        monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_begin", self.begin)
        monkeypatch.setattr(torch.cuda.CUDAGraph, "capture_end", self.end)
        monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda _graph: self.kept())
        monkeypatch.setattr(module, "outside_help", lambda: ())
        self.capturing = False
        self.kept: Callable[[], Any] = lambda: None

    def run(self, *arguments: Any, **named: Any) -> str:
        given = (*arguments, *named.values())
        x, out, *_others = (each for each in given if isinstance(each, torch.Tensor))
        if named.get("warmup"):
            return "compiled"
        if self.capturing:
            self.kept = lambda: out.detach().copy_(x)  # as a graph would, not as PyTorch
        else:
            with torch.utils._python_dispatch._disable_current_modes():
                out.copy_(x + 1)
        return "launched"

    @staticmethod
    def make(kernel: Any, name: str, asm: dict[str, str]) -> None:
        kernel.name, kernel.asm, kernel.kernel = name, dict(asm), f"cubin of {name}"
        kernel.module = kernel._run = None

    def load(self, kernel: Any) -> None:
        self.loads.append((kernel.name, kernel.kernel))
        kernel.module = kernel._run = 1

    def begin(self, _graph: object, *_: object, **__: object) -> None:
        self.capturing = True

    def end(self, _graph: object) -> None:
        self.capturing = False


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


@pytest.fixture
def launches(driver: Driver) -> Launches:
    """Follow what reaches the pretended driver."""
    assert driver.loads == []
    followed = Launches(lambda: STREAM)
    followed.follow()
    return followed


def launch(x: torch.Tensor, out: torch.Tensor) -> object:
    return JITFunction.run(cast("Any", SimpleNamespace()), x, out, grid=(1,), warmup=False)


def make(name: str, **asm: str) -> Any:
    return CompiledKernel(name, {"ptx": "", "ttir": ""} | asm)


def load(kernel: Any) -> Any:
    CompiledKernel._init_handles(kernel)
    return kernel


def test_the_streams_of_launches_are_known(launches: Launches) -> None:
    """And a launch returns what it did."""
    assert launches.streams == set()
    assert launch(X, torch.zeros(4)) == "launched"
    assert launches.streams == {STREAM}


def test_compiling_ahead_is_no_launch(launches: Launches) -> None:
    """Nothing is done on any stream, nor does it make an answer."""

    def warm_up(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty(4)
        JITFunction.run(cast("Any", SimpleNamespace()), x, out, grid=(1,), warmup=True)
        return out

    assert any("no launch of this call wrote" in found for found in answered(launches, warm_up))
    assert launches.streams == set()


def test_all_that_was_loaded_is_unloaded(launches: Launches, driver: Driver) -> None:
    """However it is launched: so that the next launch loads it elsewhere."""
    kernels = [load(make("first")), load(make("second"))]
    make("never loaded")
    assert [name for name, _ in driver.loads] == ["first", "second"]
    launches.unload()
    assert all(kernel.module is None and kernel._run is None for kernel in kernels)


def test_all_that_was_loaded_is_told_once_as_it_was_compiled(
    launches: Launches, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In files of the worker's folder; a file that exchanges texts or code changes nothing by that."""
    monkeypatch.chdir(tmp_path)
    first = make("first", ptx="mma", ttir="dot")
    first.asm["ptx"] = first.asm["ttir"] = "honest"
    first.kernel = "other code"
    load(first)
    first.asm["ptx"] = "honest"
    load(first)
    load(make("second", ptx="fma", ttir="add"))
    assert driver.loads[0] == ("first", "cubin of first")
    one, two = launches.describe().kernels
    assert (one.kernel, two.kernel) == ("first", "second")
    files = (one.ptx_file, one.ttir_file, two.ptx_file, two.ttir_file)
    assert [Path(file).read_text() for file in files] == ["mma", "dot", "fma", "add"]
    assert {Path(file).parent for file in files} == {tmp_path}


MODEL = nn.Linear(4, 4)


def answered(launches: Launches, call: Callable[[torch.Tensor], object]) -> tuple[str, ...]:
    """Return what is found in a call that is watched."""
    x = torch.ones(4)
    with torch.no_grad(), launches.watched(x, MODEL) as witness:
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


def test_tensors_given_by_name_are_given_too(launches: Launches) -> None:
    """As an autotuner passes them on."""

    def by_name(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty(4)
        JITFunction.run(cast("Any", SimpleNamespace()), x_ptr=x, out_ptr=out, grid=(1,), warmup=False)
        return out

    assert answered(launches, by_name) == ()


def test_what_is_launched_after_a_call_is_not_of_it(launches: Launches) -> None:
    """The witness of a call hears nothing once it has returned."""
    x, out = torch.ones(4), torch.empty(4)
    with launches.watched(x, MODEL) as witness:
        pass
    launch(x, out)
    assert any("no launch of this call wrote" in found for found in who_computed(witness, out))


def test_parameters_that_a_launch_was_given_are_not_of_x(launches: Launches) -> None:
    """PyTorch may prepare them anew for each part of the work."""

    def in_parts(x: torch.Tensor) -> torch.Tensor:
        out = torch.empty(4)
        for _ in range(2):
            prepared = MODEL.bias * 1.0
            JITFunction.run(cast("Any", None), x, out, prepared, MODEL.bias, grid=(1,), warmup=False)
        return out

    assert answered(launches, in_parts) == ()


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


def capture(work: Callable[[], object]) -> Any:
    """Return a graph of this work."""
    graph: Any = torch.cuda.CUDAGraph.__new__(torch.cuda.CUDAGraph)
    torch.cuda.CUDAGraph.capture_begin(graph, pool=None)
    work()
    torch.cuda.CUDAGraph.capture_end(graph)
    assert not torch.cuda.is_current_stream_capturing(), "the capture was ended in truth"
    return graph


def test_a_graph_that_was_captured_before_launches_when_it_is_replayed(launches: Launches) -> None:
    """Into what it was given then."""
    held, out = torch.zeros(4), torch.zeros(4)
    graph = capture(lambda: launch(held, out))

    def replay(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(graph)
        return out

    def replay_another(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(cast("Any", SimpleNamespace()))
        return out

    assert answered(launches, replay) == ()
    assert torch.equal(out, torch.ones(4)), "it was replayed in truth"
    assert answered(launches, replay_another) != ()


def test_what_pytorch_computes_in_a_graph_shows_when_it_is_replayed(launches: Launches) -> None:
    """Though it was captured in a call that nobody watched; after the capture PyTorch is not asked."""
    held, out = torch.zeros(4), torch.zeros(4)

    def work() -> None:
        launch(held, out)
        torch.dot(held, held)

    graph = capture(work)
    clean = capture(lambda: launch(held, out))
    torch.dot(held, held)

    def replay(graph: Any) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: (held.copy_(x), torch.cuda.CUDAGraph.replay(graph), out)[2]

    assert answered(launches, replay(graph)) == ("PyTorch computed aten.dot",)
    assert answered(launches, replay(clean)) == ()


def test_a_graph_holds_nothing_of_one_that_was_captured_before(launches: Launches) -> None:
    """Each has memory of its own, and what is launched outside of all has none of theirs."""
    held, out, other = torch.zeros(4), torch.zeros(4), torch.zeros(4)
    capture(lambda: launch(held, out))
    second = capture(lambda: launch(held, other))
    assert launches.graphs.note_launch({1}) == {1}

    def replay(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(second)
        return out

    assert any("no launch of this call wrote" in found for found in answered(launches, replay))


@pytest.mark.parametrize("which", [0, 1])
def test_a_graph_holds_all_of_its_launches(launches: Launches, which: int) -> None:
    """Whichever makes the answer."""
    held, outs = torch.zeros(4), (torch.zeros(4), torch.zeros(4))

    def work() -> None:
        launch(held, outs[0])
        launch(torch.zeros(4), outs[1])

    graph = capture(work)

    def replay(x: torch.Tensor) -> torch.Tensor:
        held.copy_(x)
        torch.cuda.CUDAGraph.replay(graph)
        return outs[which]

    assert answered(launches, replay) == ()


def test_the_correctness_stage_hears_of_a_replay_too() -> None:
    """What PyTorch computes in it, and that it launched."""
    witness = Witness(lambda _: None, lambda _: None)
    site: Any = SimpleNamespace(witness=witness, launched=[])
    graph = Captured()
    graph.contractions.found.append("PyTorch computed aten.mm")
    GpuSite._note_replay(site, graph)
    assert (witness.found, site.launched) == (["PyTorch computed aten.mm"], [])
    graph.storages = {1}
    GpuSite._note_replay(site, graph)
    assert site.launched == ["a captured graph"]
    site.witness = None
    GpuSite._note_replay(site, graph)
    assert site.launched == ["a captured graph"]
