"""Launches on other streams: each must wait for the caller's stream, and the caller's stream for it.

The guard bands wait for the GPU at every launch, which would hide that nobody else does.
"""

from typing import Any

import torch

NO_STREAM = -1
"""In the place of the stream of an event of an earlier call: who waits for that waits for nothing."""


class StreamOrder:
    """Who waited for whom during one call; `found` says what nobody waited for.

    `_behind` holds for each stream those whose work it has waited for, `_open` the streams with launches that
    the caller has not waited for, `_recorded` the stream of each event that was recorded.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._behind: dict[int, set[int]] = {}
        self._open: set[int] = set()
        self._recorded: dict[int, int] = {}
        self._host_waited = False
        self._callers = 0

    def begin_call(self) -> None:
        """Forget the last call; the stream of this moment is the caller's."""
        self.found, self._behind, self._open = [], {}, set()
        self._recorded = dict.fromkeys(self._recorded, NO_STREAM)
        self._host_waited = False
        self._callers = torch.cuda.current_stream().cuda_stream

    def note_launch(self, kernel: str) -> None:
        """Take note of a launch on the stream of this moment."""
        stream = torch.cuda.current_stream().cuda_stream
        if stream == self._callers:
            self._host_waited = False  # what it waited for is not this launch
            return
        if self._callers not in self._behind.get(stream, ()) and not self._host_waited:
            self.found.append(f"{kernel} was launched on a stream that had not waited for the caller's")
        self._open.add(stream)

    def end_call(self) -> None:
        """Find what was launched and not waited for."""
        if self._open:
            self.found.append("the answer was returned before the stream that makes it was waited for")

    def follow(self) -> None:
        """See every wait of this process from here on."""
        streams: Any = torch.cuda.Stream
        events: Any = torch.cuda.Event
        streams.wait_stream = _noting(
            streams.wait_stream, lambda waiting, stream: self._wait(waiting, stream.cuda_stream)
        )
        streams.wait_event = _noting(
            streams.wait_event, lambda waiting, event: self._wait(waiting, self._stream_of(event))
        )
        streams.synchronize = _noting(streams.synchronize, lambda own: self._wait(None, own.cuda_stream))
        events.record = _noting(events.record, self._record)
        events.wait = _noting(
            events.wait, lambda own, stream=None: self._wait(_or_current(stream), self._stream_of(own))
        )
        events.synchronize = _noting(events.synchronize, lambda own: self._wait(None, self._stream_of(own)))
        torch.cuda.synchronize = _noting(torch.cuda.synchronize, lambda *_, **__: self._wait(None, None))

    def _record(self, event: Any, stream: Any = None) -> None:
        self._recorded[id(event)] = _or_current(stream).cuda_stream

    def _stream_of(self, event: Any) -> int | None:
        return self._recorded.get(id(event))

    def _wait(self, waiting: Any, awaited: int | None) -> None:
        """Take note that a stream, or the host, has waited for a stream; None for all, or for one unknown."""
        reached = (
            {*self._open, self._callers} if awaited is None else {awaited, *self._behind.get(awaited, ())}
        )
        if waiting is None or waiting.cuda_stream == self._callers:
            self._open -= reached
        if waiting is None:
            self._host_waited |= self._callers in reached
        else:
            self._behind.setdefault(waiting.cuda_stream, set()).update(reached)


def _or_current(stream: Any) -> Any:
    return torch.cuda.current_stream() if stream is None else stream


def _noting(function: Any, note: Any) -> Any:
    def call_and_note(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        note(*args, **kwargs)
        return result

    return call_and_note
