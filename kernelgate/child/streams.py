"""Launches on other streams: each must wait for the caller's stream, and the caller's stream for it.

The guard bands wait for the GPU at every launch, which would hide that nobody else does.
"""

from typing import Any

import torch


class StreamOrder:
    """Who waited for whom during one call; `found` says what nobody waited for."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._waited: set[int] = set()
        self._open: set[int] = set()
        self._callers = 0

    def begin_call(self) -> None:
        """Forget the last call; the stream of this moment is the caller's."""
        self.found, self._waited, self._open = [], set(), set()
        self._callers = torch.cuda.current_stream().cuda_stream

    def note_launch(self, kernel: str) -> None:
        """Take note of a launch on the stream of this moment."""
        stream = torch.cuda.current_stream().cuda_stream
        if stream == self._callers:
            return
        if stream not in self._waited:
            self.found.append(f"{kernel} was launched on a stream that had not waited for the caller's")
        self._open.add(stream)

    def end_call(self) -> None:
        """Find what was launched and not waited for."""
        if self._open:
            self.found.append("the answer was returned before the stream that makes it was waited for")

    def follow(self) -> None:
        """See every wait of this process from here on."""
        order, stream, everything = self, torch.cuda.Stream, torch.cuda.synchronize
        patched: Any = stream
        for name in ("wait_stream", "wait_event"):
            patched_wait = _noting(getattr(stream, name), order._note_wait)
            setattr(patched, name, patched_wait)
        patched.synchronize = _noting(stream.synchronize, lambda s: order._open.discard(s.cuda_stream))
        torch.cuda.synchronize = _noting(everything, lambda *_: order._open.clear())

    def _note_wait(self, waiting: Any) -> None:
        if waiting.cuda_stream == self._callers:
            self._open.clear()
        else:
            self._waited.add(waiting.cuda_stream)


def _noting(function: Any, note: Any) -> Any:
    def call_and_note(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        note(*args[:1])
        return result

    return call_and_note
