"""rank.json: what is written is read again, and nothing else is."""

import math
from pathlib import Path

import msgspec
import pytest

from kernelgate.reporting.ranking.record import Estimate, RankingError, read_ranking, write_ranking
from tests.selftest.support.made_up_rankings import make_none, make_ranking, make_tie


@pytest.mark.parametrize("ranking", [make_ranking(), make_tie(), make_none()], ids=lambda each: each.ended)
def test_a_ranking_is_read_as_it_was_written(tmp_path: Path, ranking: object) -> None:
    """Of its schema, which stands in the file."""
    file = write_ranking(ranking, tmp_path)  # type: ignore[arg-type]
    assert file.name == "rank.json"
    assert read_ranking(file) == ranking
    assert msgspec.json.decode(file.read_bytes())["schema"] == "kernelgate.rank/1"


@pytest.mark.parametrize(
    ("before", "after"),
    [('"kernelgate.rank/1"', '"kernelgate.rank/2"'), ('"place": 1', '"place": 0'), ("{", "["),
     ('"ended": "one-left"', '"ended": "won"'), ('"replicates"', '"samples"')],
)  # fmt: skip
def test_what_is_no_ranking_is_named(tmp_path: Path, before: str, after: str) -> None:
    """Another schema, a place before the first, a key that nobody knows."""
    file = write_ranking(make_ranking(), tmp_path)
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(RankingError, match=r"rank\.json: is no ranking"):
        read_ranking(file)
    with pytest.raises(RankingError, match="cannot be read"):
        read_ranking(tmp_path / "nowhere.json")


@pytest.mark.parametrize("value", [1.1, -0.1, math.nan])
def test_a_figure_outside_its_interval_is_none(value: float) -> None:
    """NaN neither."""
    with pytest.raises(ValueError, match="outside its interval"):
        Estimate(value=value, low=0.0, high=1.0)


def test_only_figures_that_hold_are_trusted() -> None:
    """Places of an unstable race are none, nor is a race of nobody one."""
    assert make_ranking().is_trusted
    assert make_tie().is_trusted
    assert make_ranking(ended="unresolved").is_trusted
    assert not make_ranking(ended="unstable").is_trusted
    assert not make_none().is_trusted
