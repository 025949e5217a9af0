"""torch.cuda where there is no GPU: a device that answers, streams, events, and graphs that replay."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from kernelgate.execution.cards import ADA
from kernelgate.worker.fake_cuda.torch_cuda import PretendedGraph, pretend_cuda


@pytest.fixture
def cuda() -> Iterator[Any]:
    """Give torch.cuda as it pretends to be; afterwards it is what it was."""
    before = dict(vars(torch.cuda))
    pretend_cuda(ADA)
    yield torch.cuda
    for name in vars(torch.cuda).keys() - before.keys():
        delattr(torch.cuda, name)
    for name, value in before.items():
        setattr(torch.cuda, name, value)


def test_one_gpu_is_there_and_has_its_properties(cuda: Any) -> None:
    """A wrapper that asks before it launches hears of the GPU that is compiled for."""
    assert cuda.is_available()
    assert (cuda.device_count(), cuda.current_device()) == (1, 0)
    assert cuda.get_device_capability() == cuda.get_device_capability(0) == (8, 9)
    properties = cuda.get_device_properties(torch.device("cuda", 0))
    assert properties.multi_processor_count == 128
    assert cuda.get_device_name() == properties.name


def test_streams_and_events_may_be_used_in_every_usual_way(cuda: Any) -> None:
    """Everything is done as soon as it is asked for, so that no wait ends in an error or for ever."""
    side, event = cuda.Stream(priority=-1), cuda.Event(enable_timing=True)
    side.wait_stream(cuda.current_stream())
    with cuda.stream(side), cuda.device(0):
        event.record()
        event.record(side)
    recorded = side.record_event()
    cuda.current_stream().wait_event(recorded)
    recorded.wait()
    for each in (side, event, recorded):
        each.synchronize()
        assert each.query()
    assert side.record_event(event) is event
    cuda.synchronize()
    assert side.device == torch.device("cuda", 0)
    assert isinstance(side.cuda_stream, int)


def test_what_no_stream_has_is_no_part_of_the_pretence(cuda: Any) -> None:
    """A typing error is still an error."""
    with pytest.raises(AttributeError):
        cuda.Stream().wait_steam(cuda.current_stream())


def capture(cuda: Any, done: list[str], *names: str) -> PretendedGraph:
    """Return a graph of launches that write their names down."""
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        assert cuda.is_current_stream_capturing()
        assert PretendedGraph.capturing is graph
        graph.launches.extend(lambda name=name: done.append(name) for name in names)
    assert not cuda.is_current_stream_capturing()
    return graph


def test_a_graph_replays_its_launches_in_order(cuda: Any) -> None:
    """Each time that it is asked to, and not by itself."""
    done: list[str] = []
    graph = capture(cuda, done, "first", "second")
    assert done == []
    graph.replay()
    graph.replay()
    assert done == ["first", "second"] * 2


def test_graphs_do_not_share_their_launches(cuda: Any) -> None:
    """Nor does one that was reset remember any."""
    done: list[str] = []
    first, second = capture(cuda, done, "first"), capture(cuda, done, "second")
    second.replay()
    assert done == ["second"]
    first.reset()
    first.replay()
    assert done == ["second"]


def test_a_capture_that_fails_has_ended(cuda: Any) -> None:
    """What is launched after it belongs to no graph."""
    with pytest.raises(ValueError, match="broken"), cuda.graph(cuda.CUDAGraph()):
        raise ValueError("broken")
    assert not cuda.is_current_stream_capturing()
    assert PretendedGraph.capturing is None


def test_a_capture_may_begin_and_end_by_hand(cuda: Any) -> None:
    """As the calls are named in torch."""
    graph = cuda.CUDAGraph()
    graph.capture_begin()
    assert cuda.is_current_stream_capturing()
    graph.capture_end()
    assert not cuda.is_current_stream_capturing()
