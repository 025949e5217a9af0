"""Launches on other streams must wait for the caller's, and the caller's for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from kernelgate.worker.gpu.stream_order import StreamOrder

UNWAITED = "kernel was launched on a stream that had not waited for the caller's"
UNFINISHED = "the answer was returned before the stream that makes it was waited for"


class Streams:
    """Streams that are numbered, events, and the stream of the moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Event:
            def record(self, stream: "Stream | None" = None) -> None: ...

            def wait(self, stream: "Stream | None" = None) -> None: ...

            def synchronize(self) -> None: ...

        class Stream:
            def __init__(self, number: int) -> None:
                self.cuda_stream = number

            def record_event(self) -> Event:
                event = Event()
                event.record(self)
                return event

            def wait_stream(self, stream: "Stream") -> str:
                self.wait_event(stream.record_event())
                return "waited"

            def wait_event(self, event: Event) -> None:
                event.wait(self)

            def synchronize(self) -> None: ...

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "Event", Event)
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


def wait_for_stream(waiting: Any, awaited: Any) -> None:
    waiting.wait_stream(stream=awaited)


def wait_for_event(waiting: Any, awaited: Any) -> None:
    waiting.wait_event(event=awaited.record_event())


def let_event_hold(waiting: Any, awaited: Any) -> None:
    event = torch.cuda.Event()
    event.record(stream=awaited)
    event.wait(stream=waiting)


@pytest.mark.parametrize("wait", [wait_for_stream, wait_for_event, let_event_hold])
def test_a_launch_that_waits_and_is_waited_for_is_fine(streams: Streams, wait: Callable[..., None]) -> None:
    """For a stream, or for an event of it, from either side."""
    with streams.call():
        wait(streams.side, streams.callers)
        streams.launch(streams.side)
        wait(streams.callers, streams.side)
    assert streams.order.found == []


def test_an_event_belongs_to_the_stream_of_the_moment_if_none_is_named(streams: Streams) -> None:
    """Both where it is recorded and where it holds up."""
    event = torch.cuda.Event()
    with streams.call():
        event.record()
        with streams.on(streams.side):
            event.wait()
            streams.launch(streams.side)
            event.record()
        event.wait()
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


HOST_WAITS: dict[str, Callable[[Any], None]] = {
    "stream": lambda stream: stream.synchronize(),
    "event": lambda stream: stream.record_event().synchronize(),
    "device": lambda _: torch.cuda.synchronize(),
}


@pytest.mark.parametrize("wait", HOST_WAITS.values(), ids=HOST_WAITS.keys())
def test_the_host_may_wait_in_the_place_of_a_stream(streams: Streams, wait: Callable[[Any], None]) -> None:
    """For the caller's stream before the launch, and for the other after it."""
    with streams.call():
        streams.launch(streams.callers)
        wait(streams.callers)
        streams.launch(streams.side)
        wait(streams.side)
    assert streams.order.found == []


def test_what_the_host_waited_for_before_another_launch_of_the_caller_does_not_count(
    streams: Streams,
) -> None:
    """The other stream may read what that launch has not made yet."""
    with streams.call():
        torch.cuda.synchronize()
        streams.launch(streams.callers)
        streams.launch(streams.side)
        torch.cuda.synchronize()
    assert streams.order.found == [UNWAITED]


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


def test_each_stream_must_be_waited_for(streams: Streams) -> None:
    """Waiting for one of two leaves half of the answer open."""
    with streams.call():
        for stream in (streams.side, streams.other):
            stream.wait_stream(streams.callers)
            streams.launch(stream)
        streams.callers.wait_stream(streams.side)
    assert streams.order.found == [UNFINISHED]


def test_waits_hand_on_what_was_waited_for(streams: Streams) -> None:
    """One stream after the other, and the caller for the last of them."""
    with streams.call():
        streams.side.wait_stream(streams.callers)
        streams.launch(streams.side)
        streams.other.wait_stream(streams.side)
        streams.launch(streams.other)
        streams.callers.wait_stream(streams.other)
    assert streams.order.found == []


def test_a_wait_for_a_stream_that_did_not_wait_itself_is_not_enough(streams: Streams) -> None:
    """Nothing of the caller's is handed on."""
    with streams.call():
        streams.side.wait_stream(streams.other)
        streams.launch(streams.side)
        streams.callers.wait_stream(streams.side)
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


def test_an_event_of_an_earlier_call_stands_for_nothing(streams: Streams) -> None:
    """What it tells of had been done before this call began."""
    with streams.call():
        before, after = streams.callers.record_event(), streams.side.record_event()
    with streams.call():
        before.wait(streams.side)
        streams.launch(streams.side)
        after.wait(streams.callers)
    assert streams.order.found == [UNWAITED, UNFINISHED]


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
