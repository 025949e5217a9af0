"""Who judges orders: this process, one after the other; or whatever else gives back each order's result."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from kernelgate.batch.order import Order, carry_out
from kernelgate.batch.result import Result
from kernelgate.judging.watch import Watch
from kernelgate.machine.gpu import visible_gpus

WatchOf = Callable[[Order], Watch]
"""Gives who is told of the stages of an order; it may be asked on any thread."""

Judged = tuple[Order, Result | None]
"""An order and its result; None says that it was only held to its form, and has it."""


class Judges(Protocol):
    """Judges orders, in whatever order they come to their end; `count` at a time, on the `gpus`."""

    count: int
    gpus: tuple[str, ...]

    def judge(self, orders: Iterable[Order]) -> Iterator[Judged]:
        """Yield each order with its result."""

    def close(self) -> None:
        """End what runs."""


class ThisProcess:
    """Judges here, one order after the other."""

    count = 1

    def __init__(self, watch_of: WatchOf) -> None:
        self._watch_of, self.gpus = watch_of, visible_gpus()

    def judge(self, orders: Iterable[Order]) -> Iterator[Judged]:
        """Yield each order with its result, in their order."""
        for order in orders:
            yield order, carry_out(order, self._watch_of(order))

    def close(self) -> None:
        """Nothing runs."""
