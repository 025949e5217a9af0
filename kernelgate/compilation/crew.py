"""Work on several kernel files shared out over the processor's cores: no core waits while a file has work."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

MOST_HANDS = 9
"""Recorders of one file side by side: each imports Triton and may hold some gigabytes."""

Hand = TypeVar("Hand", bound="Closing")
Task = TypeVar("Task")


class Closing(Protocol):
    """What tasks are done with: a process of its own, as a rule."""

    def close(self) -> None:
        """End it."""


class Job(Protocol[Hand, Task]):
    """The tasks of one file; each of its hands does one after the other."""

    def open(self) -> Hand:
        """Return one more hand, ready for work; one that cannot be is closed."""

    def plan(self) -> Sequence[Task]:
        """Return the tasks; the first hand is open by then."""

    def do(self, hand: Hand, task: Task) -> None:
        """Do a task, beside others."""


class Crew(Generic[Hand, Task]):
    """Threads that help where most is left to do; the first error of a job ends it, and no other job."""

    def __init__(self, jobs: Sequence[Job[Hand, Task]]) -> None:
        self._shares = [_Share(job) for job in jobs]
        self._changed = threading.Condition()

    def work_off(self, threads: int) -> list[BaseException | None]:
        """Return for each job what has ended it early, None for one that is done."""
        with ThreadPoolExecutor(threads) as pool:
            for each in [pool.submit(self._help) for _ in range(threads)]:
                each.result()
        return [share.error for share in self._shares]

    def _help(self) -> None:
        while (share := self._join_one()) is not None:
            try:
                self._work_on(share)
            except BaseException as error:  # noqa: BLE001 - whoever asked for the work raises it
                with self._changed:
                    share.give_up(error)
            finally:
                with self._changed:
                    share.hands -= 1
                    self._changed.notify_all()

    def _join_one(self) -> "_Share[Hand, Task] | None":
        """Return the job that a thread helps next, once it is known; None if no job needs one more."""
        with self._changed:
            while True:
                new = [share for share in self._shares if not share.begun]
                open_ones = [share for share in self._shares if share.waiting and share.hands < MOST_HANDS]
                if new or open_ones:
                    share = new[0] if new else max(open_ones, key=_Share.left_for_each)
                    share.begun = True
                    share.hands += 1
                    return share
                if all(share.is_planned for share in self._shares):
                    return None
                self._changed.wait()

    def _work_on(self, share: "_Share[Hand, Task]") -> None:
        hand = share.job.open()
        try:
            if not share.is_planned:
                tasks = share.job.plan()
                with self._changed:
                    share.waiting.extend(tasks)
                    share.is_planned = True
                    self._changed.notify_all()
            while share.waiting:
                try:
                    task = share.waiting.popleft()
                except IndexError:  # another hand took the last
                    return
                share.job.do(hand, task)
        finally:
            hand.close()


class _Share(Generic[Hand, Task]):
    """A job, what waits of it, and how many work on it."""

    def __init__(self, job: Job[Hand, Task]) -> None:
        self.job, self.waiting = job, deque[Task]()
        self.hands, self.begun, self.is_planned = 0, False, False
        self.error: BaseException | None = None

    def left_for_each(self) -> float:
        """Return how many tasks one more hand would find."""
        return len(self.waiting) / (1 + self.hands)

    def give_up(self, error: BaseException) -> None:
        """Drop what waits: one fault decides."""
        self.error = self.error or error
        self.waiting.clear()
        self.is_planned = True
