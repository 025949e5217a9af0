"""results.jsonl: one line a judged candidate, complete at every moment, read again when a run resumes."""

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from kernelgate.batch.result import Result
from kernelgate.errors import KernelgateError
from kernelgate.files import PERMISSIONS
from kernelgate.judging.screen import UNDECIDED

NAME = "results.jsonl"

Key = tuple[str | None, str | None]


class ResultsError(KernelgateError, ValueError):
    """The file holds something else than results, or another run writes to it; the text names it."""


class ResultsFile:
    """The results of a folder, those of earlier runs too. Raises ResultsError, or OSError as `open` does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        self._first: dict[Key, Result] = {}
        self._own: dict[tuple[Key, str], Result] = {}
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, PERMISSIONS)
        try:
            self._lock()
            self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another run write to the file."""
        os.close(self._descriptor)

    def add(self, result: Result) -> Result:
        """Return the result, whose line is in the file by then. Raises OSError."""
        line = msgspec.json.encode(result) + b"\n"
        if os.write(self._descriptor, line) < len(line):  # in one piece: a signal does not cut it
            raise OSError(f"{self.path}: the disk is full; judge again with more room, and it goes on")
        self._keep(result)
        return result

    def find(self, key: Key, file: str) -> Result | None:
        """Return the result of these bytes, asked the same: the file's own as `reused`, or another file's.

        That of another file becomes a line of this one. None if nothing decided it yet.
        """
        if (own := self._own.get((key, file))) is not None:
            return msgspec.structs.replace(own, reused=True)
        if (first := self._first.get(key)) is None:
            return None
        return self.add(msgspec.structs.replace(first, file=file, same_as=first.file, seconds=0.0))

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsError(f"{self.path}: another run writes to it; name another --report-dir") from None

    def _read(self) -> None:
        """Read what is there; a last line that a kill has cut short is dropped."""
        whole = 0
        with os.fdopen(os.dup(self._descriptor), "rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    break
                self._keep(self._decode(line, number))
                whole += len(line)
        os.truncate(self._descriptor, whole)

    def _decode(self, line: bytes, number: int) -> Result:
        try:
            return msgspec.json.decode(line, type=Result)
        except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
            where = f"{self.path}: line {number} is no result"
            raise ResultsError(f"{where}: {error!s:.200}; move the file away") from error

    def _keep(self, result: Result) -> None:
        """Remember what is decided; what says nothing of its candidate is judged when it comes again."""
        if result.verdict not in UNDECIDED and result.sha256 is not None:
            key = result.sha256, result.asked
            self._own[key, result.file] = result
            self._first.setdefault(key, result)
