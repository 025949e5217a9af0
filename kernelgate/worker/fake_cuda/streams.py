"""Streams and events where there is no GPU: everything is done at once, and who waits for whom is followed.

A launch plan has its launches in the order in which they were made. A GPU does that only if each stream waits
for the caller's before it works, and the caller's for each before the answer is returned.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from kernelgate.worker.fake_cuda.tensors import CUDA


class StreamOrder:
    """Who waited for whom in one call; the caller's stream is the one that it begins on."""

    def __init__(self) -> None:
        self.call = 0
        self.default = self.current = self.callers = PretendedStream(default=True)
        self._behind: dict[PretendedStream, set[PretendedStream]] = {}
        self._open: dict[PretendedStream, int] = {}
        self._numbers = itertools.count(1)
        self._host_waited = False

    def begin_call(self) -> None:
        """Forget the last call."""
        self.call += 1
        self.callers, self._host_waited = self.current, False
        self._behind, self._open = {}, {}

    def note_step(self) -> str:
        """Take note of a launch or a move of data on the current stream; return what is amiss with it."""
        stream = self.current
        if stream is self.callers:
            self._host_waited = False  # what it waited for is not this step
            return ""
        self._open[stream] = next(self._numbers)
        is_behind = self.callers in self._behind.get(stream, ()) or self._host_waited
        return "" if is_behind else "works on a stream that has not waited for the caller's"

    def end_call(self) -> str:
        """Return what is amiss when the answer is returned."""
        return "returns before the caller's stream has waited for the one that works" if self._open else ""

    def wait(self, waiting: "PretendedStream | None", awaited: "Mark | None") -> None:
        """Take note that a stream has waited for a mark; None for the host, and for all streams."""
        streams = {*self._open, self.callers}
        if awaited is not None:
            streams = {awaited.stream, *self._behind.get(awaited.stream, ())}
        last = next(self._numbers) if awaited is None else awaited.number
        if waiting is None or waiting is self.callers:
            done = [each for each in streams if self._open.get(each, last + 1) <= last]
            self._open = {each: number for each, number in self._open.items() if each not in done}
        if waiting is None:
            self._host_waited |= self.callers in streams
        else:
            self._behind.setdefault(waiting, set()).update(streams)

    def mark(self, stream: "PretendedStream") -> "Mark":
        """Return what a stream has been asked for until now."""
        return Mark(self.call, stream, next(self._numbers))


class Mark:
    """A place in a stream: who waits for it waits for what was asked of the stream before."""

    def __init__(self, call: int, stream: "PretendedStream", number: int) -> None:
        self.call, self.stream, self.number = call, stream, number


class PretendedStream:
    """A stream of torch.cuda."""

    _numbers = itertools.count(1)

    def __init__(self, *_: Any, default: bool = False, **__: Any) -> None:
        self.device = CUDA
        self.cuda_stream = 0 if default else next(self._numbers)

    def wait_stream(self, other: "PretendedStream") -> None:
        """Wait for what the other has been asked for."""
        ORDER.wait(self, ORDER.mark(other))

    def wait_event(self, event: "PretendedEvent") -> None:
        """Wait for what came before an event."""
        event.wait(self)

    def record_event(self, event: "PretendedEvent | None" = None) -> "PretendedEvent":
        """Return the event, which has come to pass."""
        recorded = event or PretendedEvent()
        recorded.record(self)
        return recorded

    def synchronize(self) -> None:
        """Have the host wait."""
        ORDER.wait(None, ORDER.mark(self))

    def query(self) -> bool:
        """Return that everything is done: a wrapper that asks until it is would never end."""
        return True


class PretendedEvent:
    """An event of torch.cuda."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._mark: Mark | None = None

    def record(self, stream: PretendedStream | None = None) -> None:
        """Stand for what the stream has been asked for."""
        self._mark = ORDER.mark(stream or ORDER.current)

    def wait(self, stream: PretendedStream | None = None) -> None:
        """Have a stream wait; for an event of an earlier call, or of none, it waits for nothing."""
        if self._mark is not None and self._mark.call == ORDER.call:
            ORDER.wait(stream or ORDER.current, self._mark)

    def synchronize(self) -> None:
        """Have the host wait."""
        if self._mark is not None and self._mark.call == ORDER.call:
            ORDER.wait(None, self._mark)

    def query(self) -> bool:
        """Return that it has come to pass."""
        return True

    def elapsed_time(self, _later: "PretendedEvent") -> float:
        """Return that no time has passed."""
        return 0.0


@contextmanager
def use_stream(stream: PretendedStream | None) -> Iterator[None]:
    """Have the stream be the current one; without one nothing changes."""
    before, ORDER.current = ORDER.current, stream or ORDER.current
    try:
        yield
    finally:
        ORDER.current = before


def set_stream(stream: PretendedStream) -> None:
    """Have the stream be the current one from here on."""
    ORDER.current = stream


ORDER = StreamOrder()
"""Of this process."""


def pretend_streams() -> None:
    """Put these streams in the place of torch.cuda's."""
    cuda: Any = torch.cuda
    cuda.Stream, cuda.Event = PretendedStream, PretendedEvent
    cuda.current_stream = lambda *_, **__: ORDER.current
    cuda.default_stream = lambda *_, **__: ORDER.default
    cuda.stream, cuda.set_stream = use_stream, set_stream
    cuda.synchronize = lambda *_, **__: ORDER.wait(None, None)
    accelerator: Any = torch.accelerator
    accelerator.current_stream = lambda *_, **__: ORDER.current
    accelerator.set_stream = partial(set_stream)  # torch.compile wants one name for each function
    accelerator.synchronize = lambda *_, **__: ORDER.wait(None, None)
