"""A request's limit is the worker's own time: waiting for a core is spared, sleeping is not."""

import multiprocessing
import os
import time
from collections.abc import Iterator

import pytest

from kernelgate.sandbox import patience as module
from kernelgate.sandbox.patience import MOST_TIMES, Patience, waited_for_core_s


class Clock:
    """A clock that stands until it is set forward, and what processes have waited by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.waited: dict[int, float] = {}
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(module, "waited_for_core_s", lambda pid: self.waited[pid])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_without_waiting_the_limit_is_that_of_the_wall(clock: Clock) -> None:
    """Right up to it."""
    patience = Patience(60.0)
    clock.waited = {1: 7.0}
    for now, over in ((100.0, False), (160.0, False), (160.1, True)):
        clock.now = now
        patience.note([1])
        assert (patience.is_over, patience.is_starved) == (over, False)


def test_what_a_process_waits_for_a_core_is_added(clock: Clock) -> None:
    """From the first look on; a process that was started since counts whole."""
    patience = Patience(60.0)
    clock.waited = {1: 7.0}
    patience.note([1])
    clock.now, clock.waited = 170.0, {1: 12.0, 2: 6.0}
    patience.note([1, 2])
    assert patience.waited_s == 11.0
    assert not patience.is_over
    patience.note([1, 2])
    assert patience.waited_s == 11.0, "no second is counted twice"
    clock.now = 171.5
    assert patience.is_over


def test_a_process_that_hardly_runs_is_starved_in_the_end(clock: Clock) -> None:
    """Nothing can be said of what it would have done."""
    patience = Patience(60.0)
    clock.waited = {1: 0.0}
    patience.note([1])
    clock.now, clock.waited = 100.0 + MOST_TIMES * 60.0, {1: 595.0}
    patience.note([1])
    assert (patience.is_over, patience.is_starved) == (False, False)
    clock.now += 0.1
    assert (patience.is_over, patience.is_starved) == (False, True)


def spin() -> None:
    while True:
        pass


@pytest.fixture
def crowd() -> Iterator[list[int]]:
    """Give the ids of more than twice as many busy processes as there are cores."""
    spinning = [
        multiprocessing.get_context("fork").Process(target=spin) for _ in range(2 * (os.cpu_count() or 1) + 1)
    ]
    for each in spinning:
        each.start()
    yield [each.pid or 0 for each in spinning]
    for each in spinning:
        each.kill()
        each.join()


def test_the_system_tells_who_waits_for_a_core(crowd: list[int]) -> None:
    """Of more busy processes than cores some wait; this one, which sleeps, does not as long."""
    before = waited_for_core_s(os.getpid())
    time.sleep(1.5)
    assert max(map(waited_for_core_s, crowd)) > 0.2
    assert waited_for_core_s(os.getpid()) - before < 0.5


def test_a_process_that_is_gone_waits_for_nothing() -> None:
    """Nor does one that never was."""
    assert waited_for_core_s(2**22 + 1) == 0.0


def test_a_process_that_ends_while_it_is_looked_at_waited_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux then says ESRCH, which is no fault of the gate's."""

    def end(_folder: object) -> list[str]:
        raise ProcessLookupError

    monkeypatch.setattr(module.Path, "iterdir", end)
    assert waited_for_core_s(os.getpid()) == 0.0
