"""What recorders said in a judgement, noted down for another machine."""

import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kernelgate.execution.cards import Card
from kernelgate.execution.plan_files import StoredPlan, keep_plan
from kernelgate.files import write_whole
from kernelgate.plan_book.index import INDEX_NAME, BookedCall, BookIndex, CallKey
from kernelgate.protocol import Autotuned


class BookNotes:
    """The answers to each call of one kernel file, the first of each; any thread may note one."""

    def __init__(self, operation: str, kernel_sha256: str, triton: str) -> None:
        self.operation, self.kernel_sha256, self.triton = operation, kernel_sha256, triton
        self.autotuned: tuple[Autotuned, ...] = ()
        self._calls: dict[CallKey, tuple[BookedCall, StoredPlan | None]] = {}
        self._cards: dict[str, Card] = {}
        self._lock = threading.Lock()

    def note(self, card: Card, call: BookedCall, stored: StoredPlan | None) -> None:
        """Take down what was said of a call, unless something was already."""
        with self._lock:
            self._cards.setdefault(card.name, card)
            self._calls.setdefault(call.key, (call, stored))

    def find(self, key: CallKey) -> tuple[BookedCall, StoredPlan | None] | None:
        """Return what was said of a call, None if nothing was yet."""
        return self._calls.get(key)

    def write(self, folder: Path, entropy: int) -> Path:
        """Write the book into a new folder, and return the index; raises OSError."""
        with self._lock:
            calls: Mapping[CallKey, tuple[BookedCall, StoredPlan | None]] = dict(self._calls)
        folder.mkdir(parents=True)
        for stored in {each.sha256: each for _, each in calls.values() if each is not None}.values():
            keep_plan(stored, folder, Path.write_bytes)  # some hundreds: the index is written last, and whole
        index = BookIndex(
            operation=self.operation,
            kernel_sha256=self.kernel_sha256,
            triton=self.triton,
            entropy=entropy,
            cards=tuple(self._cards.values()),
            autotuned=self.autotuned,
            calls=tuple(call for call, _ in calls.values()),
        )
        text = msgspec.json.format(msgspec.json.encode(index), indent=1)
        return write_whole(folder / INDEX_NAME, text)
