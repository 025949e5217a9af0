"""A race track on which workers only pretend to compute: each arm takes as long as a test says."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelgate import protocol
from kernelgate.machine.gpu import Health
from kernelgate.performance import replicate
from kernelgate.performance.samples import Arm, TimedAnswer
from kernelgate.ranking import race as racing
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, conclude
from tests.selftest.performance.test_replicate import PretendedSandbox, PretendedWorker, make_timed

HEALTHY = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)
NOISE = 0.0004


class Runner(PretendedWorker):
    """Takes as long as the track says, by a clock of the track's: nobody waits for it."""

    track: "Track"
    fails: FaultKind | None = None

    def receive(self, answer: type, timeout_s: float) -> Any:
        if isinstance(self.asked, protocol.TimeLaunches):
            if self.fails is not None:
                raise WorkerFault(self.fails, "was seen", self.name)
            self.track.now_s += (1 + self.time_ms * self.asked.launches) / 1000
        return super().receive(answer, timeout_s)


class Track(PretendedSandbox):
    """Starts an arm that takes what `took` says, with noise of each process.

    `fails` are kinds of faults by the arm and the number of the replicate that it happens in, `wrong` the
    replicates in which an arm's answers are wrong. `number` is that of the replicate at work.
    """

    def __init__(self, folder: Path, took: dict[str, float]) -> None:
        super().__init__(folder, 1e-4)
        self.took, self.now_s, self.number = took, 0.0, 0
        self.timed_plans = {each * 64: (make_timed(f"of {each}"),) for each in [*took, "0"]}
        self.chance = np.random.default_rng(1)
        self.fails: dict[tuple[str, int], FaultKind] = {}
        self.wrong: set[tuple[str, int]] = set()
        self.crews: list[list[str]] = []
        self.letters: dict[str, str] = {}

    def short(self, arm: str) -> str:
        """Return the letter of a kernel, of the accepted kernel's arms the whole name."""
        return self.letters.get(arm, arm if len(arm) < 64 else arm[0])

    def close(self) -> None:
        """Leave nothing."""

    def start_arm(self, plans: Sequence[Any] | None, name: str) -> PretendedWorker:
        noise = float(np.exp(self.chance.normal(0, NOISE)))
        worker = Runner(self.log, self.folder, self.took.get(self.short(name), 2.0) * noise)
        worker.track, worker.name, worker.choices = self, name, len(plans or [None])
        worker.fails = self.fails.get((self.short(name), self.number))
        if name == Arm.ACCEPTED:
            self.crews.append([])
        self.crews[-1].append(self.short(name))
        self.started.append(worker)
        return worker


class _Unlocked:
    def __enter__(self) -> None:
        """Hold nothing."""

    def __exit__(self, *_: object) -> None:
        """Give nothing back."""


def pretend_track(track: Track, monkeypatch: pytest.MonkeyPatch) -> Track:
    """Have races run on the track: its clock is theirs, its list of wrong answers is what is judged."""

    def judge(_operation: Any, answers: Sequence[TimedAnswer], _laws: Any) -> Any:
        assert answers
        (arm,) = {answer.arm for answer in answers}
        is_wrong = (track.short(arm), track.number) in track.wrong
        detail = "the output of a timed call: off by one"
        return conclude(Outcome.WRONG, Reason.TIMED_ANSWER, detail) if is_wrong else None

    monkeypatch.setattr(replicate, "read_health", lambda *_: HEALTHY)
    monkeypatch.setattr(racing, "read_health", lambda *_: HEALTHY)
    monkeypatch.setattr(racing, "locked", lambda _: _Unlocked())
    monkeypatch.setattr(racing, "judge_answers", judge)
    monkeypatch.setattr(replicate, "time", SimpleNamespace(perf_counter=lambda: track.now_s))
    return track
