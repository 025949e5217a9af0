"""Every page keeps the house rule of prose, and each part of the rule is shown to find its break."""

from pathlib import Path

import pytest

from tests.selftest.docs.prose import MAX_WORDS, PAGES, ROOT, check_prose, main

LONG = " ".join(["word"] * (MAX_WORDS + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_keeps_the_rule(page: Path) -> None:
    """`python -m tests.selftest.docs.prose` prints all breaks."""
    assert check_prose(page.read_text(encoding="utf-8")) == []


def test_the_pages_are_all_that_people_read() -> None:
    """Those at the root, those of docs/, and the lists of the examples."""
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "CHANGELOG.md", "docs/index.md", "docs/examples/README.md"} <= names
    assert len(names) > 20


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"Short. {LONG.capitalize()}.", "31 words, allowed: 30"),
        (f"- a list\n- {LONG}", "31 words"),
        (f"| a | b |\n|---|---|\n| c | {LONG} |", "31 words"),
        (f"{LONG.replace(' ', chr(10), 1)}", "31 words"),
        ("The gate will time it.", "future tense: will"),
        ("It'll do.", "future tense: It'll"),
        ("Its time is told against the other.", "private word: is told"),
        ("As ever, it holds.", "private word: As ever"),
        ("See &#91;here].", "Markdown entity: &#91;"),
        ("2<sup>23</sup>", "HTML"),
        ("<details>\n</details>", "HTML"),
    ],
)
def test_a_break_is_found_with_its_line(text: str, what: str) -> None:
    """In paragraphs, lists and tables alike."""
    (found,) = {each for each in check_prose(f"# Title\n\n{text}\n") if what in each.what}
    assert found.line >= 3


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG[5:]}. Another sentence, of its own.",
        f"{LONG[10:]} `a piece of code is one word`.",
        f"```\n{LONG} will &#91;\n```",
        "`&#91;` and `will` are code.",
        "<!-- a mark of a generated table -->",
        "The willing reader & the writer; AT&T.",
    ],
)
def test_what_keeps_the_rule_is_left_alone(text: str) -> None:
    """Code is no prose, and 30 words are allowed."""
    assert check_prose(text) == []


def test_breaks_are_printed_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit code says that there is one."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n\nIt will.\n", encoding="utf-8")
    assert main([page]) == 1
    assert capsys.readouterr().out == f"{page}:3: future tense: will\n"
    page.write_text("# Title\n\nIt does.\n", encoding="utf-8")
    assert main([page]) == 0
