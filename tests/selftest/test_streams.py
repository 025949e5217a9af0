"""Launches on other streams must wait for the caller's, and the caller's for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from kernelgate.child.streams import StreamOrder

UNWAITED = "kernel was launched on a stream that had not waited for the caller's"
UNFINISHED = "the answer was returned before the stream that makes it was waited for"


class Streams:
    """Streams that are numbered, and the one of the moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Stream:
            def __init__(self, number: int) -> None:
                self.cuda_stream = number

            def wait_stream(self, _other: "Stream") -> str:
                return "waited"

            def wait_event(self, _event: object) -> None:
                pass

            def synchronize(self) -> None:
                pass

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: self.current)
        self.callers, self.side, self.other = Stream(0), Stream(1), Stream(2)
        self.current: Any = self.callers
        self.order = StreamOrder()
        self.order.follow()

    @contextmanager
    def on(self, stream: Any) -> Iterator[None]:
        """Make another stream that of the moment."""
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextmanager
    def call(self) -> Iterator[None]:
        """Give one call of a model."""
        self.order.begin_call()
        yield
        self.order.end_call()

    def launch(self, stream: Any) -> None:
        """Launch on a stream."""
        with self.on(stream):
            self.order.note_launch("kernel")


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Streams:
    return Streams(monkeypatch)


def test_launches_on_the_callers_stream_wait_for_nothing(streams: Streams) -> None:
    """Their order is that of the stream."""
    with streams.call():
        streams.launch(streams.callers)
    assert streams.order.found == []


@pytest.mark.parametrize("by_event", [False, True], ids=["stream", "event"])
def test_a_launch_that_waits_and_is_waited_for_is_fine(streams: Streams, *, by_event: bool) -> None:
    """For a stream, or for an event of it."""

    def wait(waiting: Any, awaited: Any) -> None:
        waiting.wait_event(object()) if by_event else waiting.wait_stream(awaited)

    with streams.call():
        wait(streams.side, streams.callers)
        streams.launch(streams.side)
        wait(streams.callers, streams.side)
    assert streams.order.found == []


def test_a_launch_that_did_not_wait_for_the_caller_is_found(streams: Streams) -> None:
    """What it reads may not be there yet."""
    with streams.call():
        streams.launch(streams.side)
        streams.callers.wait_stream(streams.side)
    assert streams.order.found == [UNWAITED]


def test_a_launch_that_nobody_waited_for_is_found(streams: Streams) -> None:
    """The caller may read the answer before it is there."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
    assert streams.order.found == [UNFINISHED]


def test_a_wait_before_the_launch_does_not_count_for_it(streams: Streams) -> None:
    """The launch came after what was waited for."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.callers.wait_stream(streams.side)
        streams.launch(streams.side)
    assert streams.order.found == [UNFINISHED]


@pytest.mark.parametrize("everything", [False, True], ids=["stream", "device"])
def test_the_host_may_wait_in_the_callers_place(streams: Streams, *, everything: bool) -> None:
    """For the stream, or for all of the GPU."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
        torch.cuda.synchronize() if everything else streams.side.synchronize()
    assert streams.order.found == []


def test_waiting_for_another_stream_by_the_host_does_not_count(streams: Streams) -> None:
    """Only for the one that was launched on."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
        streams.other.synchronize()
    assert streams.order.found == [UNFINISHED]


def test_each_stream_must_wait_by_itself(streams: Streams) -> None:
    """One that did does not speak for the other."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
        streams.launch(streams.other)
        torch.cuda.synchronize()
    assert streams.order.found == [UNWAITED]


def test_a_call_begins_with_no_waits(streams: Streams) -> None:
    """What was waited for in the last call was other work; and what it found is forgotten."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
    with streams.call():
        streams.launch(streams.side)
        streams.callers.wait_stream(streams.side)
    assert streams.order.found == [UNWAITED]


def test_the_callers_stream_is_that_of_the_call(streams: Streams) -> None:
    """It need not be the first."""
    with streams.on(streams.side), streams.call():
        streams.launch(streams.side)
    assert streams.order.found == []
    with streams.on(streams.side), streams.call():
        streams.launch(streams.callers)
    assert streams.order.found == [UNWAITED, UNFINISHED]


def test_a_wait_still_returns_what_it_did(streams: Streams) -> None:
    """It is seen, not replaced."""
    assert streams.side.wait_stream(streams.callers) == "waited"
