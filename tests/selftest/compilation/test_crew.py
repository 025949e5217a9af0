"""Work on files side by side: every task is done once, hands go where most is left, a fault ends its file."""

import threading
import time
from collections.abc import Sequence

import pytest

from kernelgate.compilation import crew
from kernelgate.compilation.crew import Crew


class Hand:
    """Does the tasks of one file; `closed` says that it has ended."""

    def __init__(self) -> None:
        self.closed = False
        self.done: list[int] = []

    def close(self) -> None:
        """End it."""
        self.closed = True


class Pretended:
    """A file of so many tasks, each of which takes a while; one of them fails if it is named."""

    def __init__(self, count: int, *, fails_at: int | None = None, seconds: float = 0.005) -> None:
        self.count, self.fails_at, self.seconds = count, fails_at, seconds
        self.hands: list[Hand] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def open(self) -> Hand:
        self.hands.append(Hand())
        return self.hands[-1]

    def plan(self) -> Sequence[int]:
        if self.fails_at == -1:
            raise ValueError("cannot be imported")
        return range(self.count)

    def do(self, hand: Hand, task: int) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
        if task == self.fails_at:
            raise ValueError(f"task {task}")
        hand.done.append(task)

    @property
    def done(self) -> list[int]:
        return sorted(task for hand in self.hands for task in hand.done)


@pytest.mark.parametrize("threads", [1, 2, 5, 30])
def test_every_task_of_every_file_is_done_once(threads: int) -> None:
    """With fewer threads than files too; and every hand is closed."""
    jobs = [Pretended(7), Pretended(0), Pretended(1), Pretended(12)]
    assert Crew(jobs).work_off(threads) == [None] * 4
    assert [job.done for job in jobs] == [list(range(job.count)) for job in jobs]
    assert all(hand.closed for job in jobs for hand in job.hands)


def test_who_has_done_one_file_helps_with_another() -> None:
    """A short file frees its cores: the long one gets them, up to its most."""
    short, long = Pretended(2), Pretended(60)
    Crew([short, long]).work_off(6)
    assert long.most_at_once == 6


def test_hands_go_where_most_is_left_for_each() -> None:
    """Not to whichever file comes first: that one is done in time by few."""
    short, long = Pretended(8, seconds=0.02), Pretended(60, seconds=0.02)
    Crew([short, long]).work_off(6)
    assert short.most_at_once <= 3 < long.most_at_once
    assert [job.done for job in (short, long)] == [list(range(8)), list(range(60))]


def test_of_one_file_only_so_many_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hand takes memory."""
    monkeypatch.setattr(crew, "MOST_HANDS", 3)
    job = Pretended(40)
    Crew([job]).work_off(12)
    assert job.most_at_once == len(job.hands) == 3


def test_a_fault_ends_its_file_and_no_other() -> None:
    """What waits of it is dropped; whoever asked gets the error, by the file's place."""
    bad, good = Pretended(200, fails_at=3), Pretended(20)
    error, none = Crew([bad, good]).work_off(4)
    assert (str(error), none) == ("task 3", None)
    assert len(bad.done) < 50
    assert good.done == list(range(20))
    assert all(hand.closed for hand in bad.hands)


def test_a_file_that_cannot_be_imported_holds_nobody_up() -> None:
    """Threads that wait to hear what there is to do hear that there is nothing."""
    broken, good = Pretended(5, fails_at=-1), Pretended(3)
    error, none = Crew([broken, good]).work_off(8)
    assert (str(error), none) == ("cannot be imported", None)
    assert good.done == [0, 1, 2]
