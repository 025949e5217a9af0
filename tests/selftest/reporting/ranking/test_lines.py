"""What a terminal shows of a ranking."""

import pytest

from kernelgate.reporting.ranking.lines import render_answer, render_ranking
from kernelgate.reporting.ranking.record import Ranking
from tests.selftest.support.made_up_rankings import make_none, make_ranked, make_ranking, make_tie


def test_the_table_has_the_fastest_first_and_what_is_not_ranked_last() -> None:
    """Each figure stands beneath its name."""
    header, first, second, third, left_out = render_ranking(make_ranking())
    assert first.split() == ["1", "1.0000", "ms", "50.00", "%", "[49.90,", "50.10]", "0.00", "%", "4", "a.py"]
    assert second.split()[:8] == ["2", "1.0200", "ms", "49.00", "%", "[48.90,", "49.10]", "2.00"]
    assert {line.index(file) for line, file in ((header, "file"), (first, "a.py"), (third, "c.py"))} == {
        header.index("file")
    }
    assert left_out == "  not ranked  WRONG (hard-bound)  w.py: out[0] is off"


def test_a_tie_is_told_by_its_places() -> None:
    """As `1=`, and who comes next has the third place."""
    assert [line.split()[0] for line in render_ranking(make_tie())[1:4]] == ["1=", "1=", "3"]


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        (make_ranking(), "fastest: a.py, gain 50.00 % [49.90, 50.10] over HEAD:kernels/softmax.py"),
        (make_tie(), "tie: a.py and b.py differ by less than 1 %"),
        (
            make_ranking(ended="unstable", detail="off by 1 %"),
            "UNSTABLE: the ranking is not to be trusted: off",
        ),
        (make_none(), "nothing is ranked: every"),
    ],
)
def test_the_answer_names_the_fastest_or_the_tie(ranking: Ranking, said: str) -> None:
    """Or why there is none."""
    assert render_answer(ranking).startswith(said)


def test_what_the_last_look_left_is_no_proven_tie() -> None:
    """It says that it is not resolved."""
    tied = make_tie(detail="2 kernels are neither proven different nor within 1 % after 10 replicates")
    unresolved = make_ranking(ended="unresolved", ranked=tied.ranked, detail=tied.detail)
    said = render_answer(unresolved)
    assert said == f"tie, not resolved: a.py and b.py: {tied.detail}"


def test_a_name_drives_no_terminal() -> None:
    """A file may be called anything."""
    hostile = make_ranked("\x1b[2J\nfastest: me.py", 0.0)
    lines = [*render_ranking(make_ranking(ranked=(hostile,))), render_answer(make_ranking(ranked=(hostile,)))]
    assert not any("\x1b" in line for line in lines)
    assert not any(each.startswith("fastest: me.py") for line in lines for each in line.splitlines())
