"""Judges that take orders in turn: each the next one when it is free, whatever kind of judge it is."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Protocol

from kernelgate.batch.judges import Judged, WatchOf
from kernelgate.batch.order import Order
from kernelgate.batch.result import not_judged
from kernelgate.batch.side_by_side.messages import Answer
from kernelgate.judging.watch import Watch

ATTEMPTS = 2


class Judge(Protocol):
    """Judges one order at a time, and another one after it."""

    def carry_out(self, order: Order, watch: Watch) -> Answer | None:
        """Return the answer to an order; None if the judge is lost before it has one."""

    def end(self) -> None:
        """Have it end, at once; no other takes its place."""

    def wait(self) -> None:
        """Wait until it has ended."""


class InTurn:
    """Serves orders by judges side by side. An order whose judge is lost is tried once more."""

    def __init__(self, judges: Sequence[Judge], watch_of: WatchOf, last_words: str) -> None:
        self.count, self._judges, self._watch_of = len(judges), judges, watch_of
        self._died = f"the judge ended without a result, {ATTEMPTS} times; its last words are {last_words}"

    def judge(self, orders: Iterable[Order]) -> Iterator[Judged]:
        """Yield each order with its result, as they come. A judge that is free asks for the next order."""
        waiting, judged = _Waiting(orders), SimpleQueue[Judged | None]()
        for judge in self._judges:
            threading.Thread(target=self._serve, args=(judge, waiting, judged), daemon=True).start()
        for _ in self._judges:
            while (one := judged.get()) is not None:
                yield one
        waiting.require_success()

    def close(self) -> None:
        """End all judges, and what they started."""
        for judge in self._judges:
            judge.end()
        for judge in self._judges:
            judge.wait()

    def _serve(self, judge: Judge, waiting: "_Waiting", judged: SimpleQueue[Judged | None]) -> None:
        try:
            while (order := waiting.next()) is not None:
                answer = self._try(judge, order)
                result = not_judged(order.file, self._died) if answer is None else answer.result
                judged.put((order, result))
        except Exception as error:  # noqa: BLE001 - it is raised where the results are waited for
            waiting.end(error)
        finally:
            judged.put(None)

    def _try(self, judge: Judge, order: Order) -> Answer | None:
        for _ in range(ATTEMPTS):
            if (answer := judge.carry_out(order, self._watch_of(order))) is not None:
                return answer
        return None


class _Waiting:
    """Orders for many threads: each takes the next one, until an error ends them."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._orders, self._lock = iter(orders), threading.Lock()
        self._error: Exception | None = None

    def next(self) -> Order | None:
        """Return the next order, None if there is none, or none any more."""
        with self._lock:
            return None if self._error else next(self._orders, None)

    def end(self, error: Exception) -> None:
        """Give no order from now on; the first error counts."""
        self._error = self._error or error

    def require_success(self) -> None:
        """Raise the error that ended them."""
        if self._error is not None:
            raise self._error
