"""The judges of a Ray cluster: the same batch, on many hosts."""

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from msgspec.structs import replace

from kernelgate.batch.cluster.connection import LOCAL, connect
from kernelgate.batch.cluster.errors import ClusterError
from kernelgate.batch.cluster.places import list_cards, list_places
from kernelgate.batch.cluster.seat import Seat
from kernelgate.batch.cluster.shipment import pin_profile, read_candidate, read_files
from kernelgate.batch.judges import WatchOf
from kernelgate.batch.order import Order, carry_out
from kernelgate.batch.side_by_side.in_turn import InTurn
from kernelgate.batch.side_by_side.messages import Answer
from kernelgate.correctness.diagnosis.words import SCRIPT_NAME
from kernelgate.files import write_whole
from kernelgate.judging.watch import Watch

PATIENCE_SECONDS = 30.0
"""An actor is there after one to five seconds, if a host has room for it."""

ROOM_SECONDS = 120.0
POLL_SECONDS = 0.1


def open_cluster(address: str, jobs: int | None, watch_of: WatchOf) -> "ClusterJudges":
    """Return the judges of the cluster at an address that Ray takes, or of one that is started here.

    Raises ClusterError for one that cannot be reached, AskedError for more judges than it has room for.
    """
    is_own = connect(address or LOCAL)
    try:
        nodes = ray.nodes()
        seats = [Seat(place, os.getcwd()) for place in list_places(nodes, jobs)]  # noqa: PTH109 - as text
    except BaseException:
        if is_own:
            ray.shutdown()
        raise
    return ClusterJudges(seats, list_cards(nodes), watch_of, is_own=is_own)


class ClusterJudges(InTurn):
    """A judge for each seat; what one loses another one judges."""

    def __init__(
        self, seats: Sequence[Seat], gpus: tuple[str, ...], watch_of: WatchOf, *, is_own: bool
    ) -> None:
        store = _Store()
        turns = [(*seats[number:], *seats[:number]) for number in range(len(seats))]
        super().__init__([_ClusterJudge(each, store) for each in turns], watch_of, "in Ray's logs")
        self.gpus, self._is_own = gpus, is_own

    def close(self) -> None:
        """End all judges, and the connection."""
        super().close()
        if self._is_own:
            ray.shutdown()


class _Store:
    """Puts the files of orders into Ray's object store; those of the order before are not put again."""

    def __init__(self) -> None:
        self._lock, self._digest, self._reference = threading.Lock(), b"", None

    def put(self, files: Mapping[str, bytes]) -> Any:
        """Return a reference to the files."""
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).digest()
        with self._lock:
            if digest != self._digest:
                self._digest, self._reference = digest, ray.put(dict(files))
            return self._reference


class _ClusterJudge:
    """Judges on its own seat, which is the first, or on another one where that is lost."""

    def __init__(self, seats: Sequence[Seat], store: _Store) -> None:
        self._seats, self._store = seats, store

    def carry_out(self, order: Order, watch: Watch) -> Answer | None:
        """Return the answer to an order, whose report is written by then; None if its judge is lost.

        What is no kernel file is refused here: there is nothing to send. Raises ClusterError, OSError.
        """
        candidate = read_candidate(order)
        if candidate is None:
            return Answer(carry_out(replace(order, options=order.options | {"measure": False}), watch))
        sent, files = pin_profile(order), self._store.put(read_files(order))
        while (seat := self._choose()) is not None:
            with seat.lock:
                if seat.is_ready():
                    judged = seat.carry_out(sent, files, candidate, watch)
                    break
        else:
            return None
        if judged is None:
            return None
        answer, host, report = judged
        if answer.result is None:
            return answer
        _write_report(Path(order.report_dir), report)
        return Answer(replace(answer.result, host=host.name))

    def end(self) -> None:
        """Have the seat's judge end."""
        self._seats[0].end()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._seats[0].wait()

    def _choose(self) -> Seat | None:
        """Return the own seat once it has a judge, else one that has; None at the end of all.

        Where the own seat has lost its host, an order goes to a judge that is free, if there is one.
        """
        own, *others = self._seats
        started = time.monotonic()
        while not own.is_over and (waited := time.monotonic() - started) < ROOM_SECONDS:
            if own.is_ready():
                return own
            if own.has_lost or waited > PATIENCE_SECONDS:
                ready = [seat for seat in others if seat.is_ready()]
                free = [seat for seat in ready if not seat.lock.locked()]
                if free or (ready and waited > PATIENCE_SECONDS):
                    return (free or ready)[0]
            time.sleep(POLL_SECONDS)
        if own.is_over:
            return None
        faults = "; ".join(dict.fromkeys(seat.fault for seat in self._seats if seat.fault))
        raise ClusterError(f"--cluster: no host takes a judge: {faults or 'all are busy'}; see `ray status`")


def _write_report(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        write_whole(folder / name, content)
    if SCRIPT_NAME not in files:
        (folder / SCRIPT_NAME).unlink(missing_ok=True)  # of an earlier judgement
