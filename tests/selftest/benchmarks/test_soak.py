"""The soak: candidates of every kind, each with the verdict that it must get, and what the process holds."""

from types import SimpleNamespace
from typing import Any

import pytest

import kernelgate
from benchmarks import soak


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have every candidate judged in a moment, as the soak expects; returns their verdicts."""
    verdicts: list[str] = []

    def judge(_file: object, **_asked: object) -> Any:
        verdicts.append(soak.make_candidate(len(verdicts))[1])
        return SimpleNamespace(verdict=verdicts[-1], detail="")

    monkeypatch.setattr(kernelgate, "judge", judge, raising=False)
    return verdicts


def test_every_kind_of_candidate_comes(judged: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Right ones, wrong ones and refused ones; a row every so many."""
    assert soak.main(["--count", "60", "--step", "20"]) == 0
    assert {verdict: judged.count(verdict) for verdict in set(judged)} == {
        "NOT_MEASURED": 2,
        "WRONG": 34,
        "FORBIDDEN": 24,
    }
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["20", "40", "60"]
    assert all(len(row.split()) == 7 for row in rows)


def test_no_two_candidates_have_the_same_bytes() -> None:
    """One that is known would not be judged."""
    assert len({soak.make_candidate(number)[0] for number in range(100)}) == 100


def test_another_verdict_ends_it(judged: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It would measure something else."""
    del judged
    monkeypatch.setattr(soak, "make_candidate", lambda number: (f"# {number}", "KEEP"))
    monkeypatch.setattr(kernelgate, "judge", lambda *_, **__: SimpleNamespace(verdict="WRONG", detail=""))
    with pytest.raises(ValueError, match="candidate 0 is WRONG, expected KEEP"):
        soak.main(["--count", "1"])
