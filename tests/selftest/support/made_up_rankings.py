"""Rankings of races that nobody ran."""

from typing import Any

import msgspec

from kernelgate.reporting.ranking.record import Estimate, Ranked, Ranking, Unranked
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.made_up_reports import ENVIRONMENT, SHA


def make_ranked(file: str, over: float, place: int = 1, *, tied: bool = False, half: float = 0.001) -> Ranked:
    """Return a kernel that takes so much longer than the best, as a share; the accepted one takes 2 ms."""
    ratio = 1 + over
    is_best = over == 0.0
    return Ranked(
        place=place,
        tied=tied,
        file=file,
        copies=(),
        sha256=SHA,
        configuration="64/64/32, 4 warps",
        time_ms=ratio,
        gain=Estimate(value=1 - ratio / 2, low=1 - ratio / 2 - half, high=1 - ratio / 2 + half),
        to_best=Estimate(value=ratio, low=ratio - half * (not is_best), high=ratio + half * (not is_best)),
        replicates=4,
        left="" if place == 1 else "proven slower than a.py, after 4 replicates",
    )


def make_ranking(**changed: Any) -> Ranking:
    """Return the ranking of three kernels, of which one is the fastest, and one that is wrong."""
    made = Ranking(
        operation="softmax",
        gpu="NVIDIA Test",
        batch=8192,
        ended="one-left",
        detail="every other one is proven slower, in 4 replicates",
        accepted="HEAD:kernels/softmax.py",
        accepted_ms=2.0,
        control=Estimate(value=0.0, low=-0.0001, high=0.0001),
        noise_gain=0.01,
        confidence=0.95,
        pairs=6,
        replicates=4,
        seconds=61.0,
        ranked_at="2026-01-02T03:04:05+00:00",
        environment=ENVIRONMENT,
        ranked=(
            make_ranked("a.py", 0.0),
            make_ranked("b.py", 0.02, 2),
            make_ranked("c.py", 1.5, 3),
        ),
        unranked=(
            Unranked(
                file="w.py",
                sha256=SHA,
                verdict=Outcome.WRONG,
                reason=Reason.HARD_BOUND,
                detail="out[0] is off",
                report="rank/w",
            ),
        ),
    )
    return msgspec.structs.replace(made, **changed)


def make_tie(**changed: Any) -> Ranking:
    """Return a ranking whose first two tie."""
    first = make_ranked("a.py", 0.0, tied=True), make_ranked("b.py", 0.0004, tied=True)
    return make_ranking(ended="tie", ranked=(*first, make_ranked("c.py", 0.05, 3)), **changed)


def make_none() -> Ranking:
    """Return a ranking in which nothing is right."""
    return make_ranking(
        ended="none-right", ranked=(), control=None, accepted="", accepted_ms=None, batch=0, replicates=0
    )
