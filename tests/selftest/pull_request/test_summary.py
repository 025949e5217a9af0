"""What people and workflows are told of a change: nothing in it can leave its place, or pass for more."""

import os
import re
from pathlib import Path

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kernelgate.pull_request.change import Change, Proposed
from kernelgate.pull_request.github import write_outputs
from kernelgate.pull_request.judge import MAX_REPORT_BYTES, Judged
from kernelgate.pull_request.summary import failures_of, outputs_of, passes, render_page, summarise
from tests.selftest.support.made_up_gate import judge_one
from tests.selftest.support.made_up_reports import SMUGGLED

NOTHING = Change(kernels=(), refused=(), edited={})
KERNEL = Proposed(path="kernels/alexnet_conv1_a.py", blob="0" * 40, operation="alexnet_conv1")
PROPOSAL = msgspec.structs.replace(NOTHING, kernels=(KERNEL,))
REFUSED = msgspec.structs.replace(NOTHING, refused=("kernels/x.py: is of no operation",))
NO_EARLIER = msgspec.structs.replace(NOTHING, from_nothing=True)
ONLY_KERNELS = "Only kernels are changed"
SECTION = "**This change also edits what judges.**"


def made(verdict: str = "WRONG", passing: bool = False, **said: str) -> Judged:
    return msgspec.structs.replace(
        Judged(
            kernel=KERNEL.path,
            rule="tune",
            verdict=verdict,
            passes=passing,
            detail="as it should be",
            next_step="Keep it.",
            folder="",
        ),
        **said,
    )


KEEP, REVERT = made("KEEP", passing=True), made("REVERT")


def editing(*paths: str, kind: str = "gate") -> Change:
    return msgspec.structs.replace(NOTHING, edited={kind: paths}, beside_kernels=True)


@pytest.mark.parametrize(
    ("change", "judged", "words", "passing"),
    [
        (None, [], "NOTHING_TO_JUDGE", True),
        (NOTHING, [], "NOTHING_TO_JUDGE", True),
        (PROPOSAL, [KEEP], "KEEP", True),
        (None, [KEEP], "KEEP", True),
        (PROPOSAL, [KEEP, REVERT, made()], "REVERT, WRONG, KEEP", False),
        (PROPOSAL, [KEEP, KEEP, REVERT, REVERT], "REVERT, KEEP", False),
        (PROPOSAL, [KEEP, made("NOT_MEASURED")], "NOT_MEASURED, KEEP", False),
        (REFUSED, [], "REFUSED", False),
        (REFUSED, [KEEP, REVERT], "REFUSED, REVERT, KEEP", False),
        (REFUSED, [KEEP], "REFUSED, KEEP", False),
    ],
)
def test_a_change_is_summed_up_in_a_word_for_each_verdict(
    change: Change | None, judged: list[Judged], words: str, passing: bool
) -> None:
    """What fails is said first; one that fails, or is refused, fails them all."""
    assert summarise(change, judged) == words
    assert passes(change, judged) is passing


def test_what_judges_is_named_before_anything_else(tmp_path: Path) -> None:
    """Whoever reads the page must know by whom the kernels were judged."""
    change = msgspec.structs.replace(
        REFUSED, edited={"gate": ("kernelgate/verdict.py",), "workflow": ("Makefile", ".actrc")}
    )
    write_page(tmp_path, b"# The report\n")
    parts = render_page(change, [made(folder="a")], tmp_path).split("\n\n")
    assert parts[0] == "# kernelgate: REFUSED, WRONG"
    assert parts[1].startswith(SECTION)
    assert parts[2] == "- gate: `kernelgate/verdict.py`\n- workflow: `Makefile`, `.actrc`"
    assert parts[3] == "**Refused without a trial:**"
    assert parts[-1] == "# The report\n"


def write_page(reports: Path, content: bytes, folder: str = "a") -> None:
    (reports / folder).mkdir()
    (reports / folder / "report.md").write_bytes(content)


def test_the_reports_follow_in_the_order_of_the_judgements(tmp_path: Path) -> None:
    """One without a report has its line in the table."""
    write_page(tmp_path, b"# first", "a")
    write_page(tmp_path, "# sécond".encode(), "b")
    judged = [made(folder="b"), made(detail="left none"), made(folder="a")]
    page = render_page(PROPOSAL, judged, tmp_path)
    assert page.endswith("\n\n# sécond\n\n# first\n")
    assert "| WRONG | left none |" in page
    assert SECTION not in page


@pytest.mark.parametrize("kind", ["missing", "not UTF-8", "huge", "folder", "pipe", "link"])
def test_a_page_that_cannot_be_read_takes_nothing_with_it(tmp_path: Path, kind: str) -> None:
    """Nor does it hang the answer: the rest is said, and that it is missing."""
    page = tmp_path / "a" / "report.md"
    page.parent.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("elsewhere")
    {
        "missing": lambda: None,
        "not UTF-8": lambda: page.write_bytes(b"elsewhere \xff"),
        "huge": lambda: page.write_text("elsewhere" * (MAX_REPORT_BYTES // 9 + 1)),
        "folder": page.mkdir,
        "pipe": lambda: os.mkfifo(page),
        "link": lambda: page.symlink_to(secret),
    }[kind]()
    text = render_page(PROPOSAL, [made(folder="a")], tmp_path)
    assert text.startswith("# kernelgate: WRONG\n")
    assert text.endswith("\n\n`a`: the gate left no page that can be read.\n")
    assert "elsewhere" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (NOTHING, "there is nothing to judge"),
        (editing("Makefile", kind="workflow"), "there is nothing to judge"),
        (NO_EARLIER, "There is no earlier commit to compare with"),
        (editing("conftest.py"), "Every accepted kernel must be judged anew by the edited files"),
        (editing("baselines/x.json", kind="records"), "Every accepted kernel must be"),
    ],
)
def test_the_page_says_what_follows_without_a_kernel(tmp_path: Path, change: Change, said: str) -> None:
    """One of the sentences, and only where it is true."""
    sentences = {
        "there is nothing to judge",
        "There is no earlier",
        "Every accepted kernel must be",
    }
    page = render_page(change, [], tmp_path)
    assert said in page
    assert [sentence for sentence in sentences if sentence in page] == [
        sentence for sentence in sentences if said.startswith(sentence)
    ]


@pytest.mark.parametrize("change", [PROPOSAL, REFUSED, None])
def test_nothing_to_judge_is_not_said_where_there_was_something(
    tmp_path: Path, change: Change | None
) -> None:
    """Or where nobody looked."""
    assert "nothing to judge" not in render_page(change, [], tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (PROPOSAL, True),
        (msgspec.structs.replace(PROPOSAL, beside_kernels=True), False),
        (msgspec.structs.replace(PROPOSAL, from_nothing=True), False),
        (NOTHING, False),
        (None, False),
    ],
)
def test_the_page_says_that_nothing_else_was_looked_at(
    tmp_path: Path, change: Change | None, said: bool
) -> None:
    """Where kernels are all that is changed."""
    assert (ONLY_KERNELS in render_page(change, [KEEP], tmp_path)) is said


@pytest.mark.parametrize(
    ("count", "end"), [(8, "`f7`\n"), (9, "`f7` and 1 more\n"), (5000, "`f7` and 4992 more\n")]
)
def test_a_long_list_is_cut(tmp_path: Path, count: int, end: str) -> None:
    """A page has an end; how much is left out is said."""
    page = render_page(editing(*(f"f{n}" for n in range(count)), kind="workflow"), [], tmp_path)
    (line,) = (line for line in page.splitlines(keepends=True) if line.startswith("- workflow"))
    assert line.startswith("- workflow: `f0`, `f1`, ")
    assert line.endswith(end)


@pytest.mark.parametrize(("name", "shown"), [("\udcff", r"\udcff"), ("\u202e", r"\u202e"), ("a\nb", r"a\nb")])
def test_a_name_that_is_no_text_is_shown_as_ascii(tmp_path: Path, name: str, shown: str) -> None:
    """The page can be written, and reads in no other order than it stands there."""
    page = render_page(editing(f"kernelgate/{name}"), [], tmp_path)
    assert f"`kernelgate/{shown}`" in page.encode("utf-8").decode("utf-8")


PLACES = ["edited", "refused", "kernel", "rule", "detail", "next_step", "folder"]


def page_with(text: str, place: str, reports: Path) -> list[Token]:
    """Return the page, as Markdown is read, with this text in one place of it."""
    change = editing(text) if place == "edited" else PROPOSAL
    change = msgspec.structs.replace(change, refused=(text,)) if place == "refused" else change
    said = {place: text} if place not in ("edited", "refused") else {}
    page = render_page(change, [made(**said)], reports)
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(page)


def outline(tokens: list[Token]) -> list[str]:
    """Return the blocks, and what is in them but text."""
    found = []
    for token in tokens:
        inline = [child.type for child in token.children or ()]
        found += [token.type, *(kind for kind in inline if kind not in ("text", "text_special"))]
    return found


@pytest.mark.parametrize("smuggled", [*SMUGGLED, "`` x `` y", "x`", "`", "\\`", "a\u2028# b", "\x0b# b"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_a_change_holds_can_leave_its_place(tmp_path: Path, place: str, smuggled: str) -> None:
    """A file may be called anything, and a report say anything."""
    for text in (f"x{smuggled}", f"x{smuggled} x"):
        assert outline(page_with(text, place, tmp_path)) == outline(page_with("x", place, tmp_path))


@pytest.mark.parametrize("place", PLACES)
def test_nobody_is_mentioned(tmp_path: Path, place: str) -> None:
    """An @name is text for the eye; as code it calls nobody either."""
    inline = [
        child for token in page_with("ask @somebody", place, tmp_path) for child in token.children or ()
    ]
    assert any("somebody" in child.content for child in inline)
    assert not any("@somebody" in child.content for child in inline if child.type != "code_inline")


@pytest.mark.parametrize(
    ("change", "guard", "tests"),
    [
        (None, "false", "true"),
        (PROPOSAL, "false", "false"),
        (editing("conftest.py"), "true", "true"),
        (editing(".actrc", kind="workflow"), "false", "true"),
        (msgspec.structs.replace(PROPOSAL, beside_kernels=True), "false", "true"),
        (NO_EARLIER, "true", "true"),
    ],
)
def test_later_steps_are_told_the_verdict_and_what_is_left_to_do(
    change: Change | None, guard: str, tests: str
) -> None:
    """By the names that the workflow asks for; where nobody looked at the files, the tests run."""
    said = outputs_of(change, [REVERT, KEEP])
    assert said == {"verdict": "REVERT, KEEP", "guard": guard, "tests": tests}


@pytest.mark.parametrize(
    "plant",
    [
        r"said['verdict'] = 'KEEP\nguard=false'",
        r"said['rule'] = 'tune\nverdict=KEEP'",
        r"said.update(verdict='WRONG', detail='x\nverdict=KEEP', next_step='x\rguard=false')",
        r"said.update(reason='x\nverdict=KEEP', operation='\nguard=false')",
        r"said.update(verdict='REVERT\ntests=false', detail='x\ntests=false')",
    ],
)
def test_an_output_is_one_line_of_known_words_whatever_a_report_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: str
) -> None:
    """Or a kernel could set the outputs of the step that judges it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    outputs = outputs_of(editing("conftest.py"), [judge_one(tmp_path, plant), KEEP])
    write_outputs({"GITHUB_OUTPUT": str(tmp_path / "output")}, outputs)
    assert re.fullmatch(
        r"verdict=[A-Z_]+(, [A-Z_]+)*\nguard=true\ntests=true\n", (tmp_path / "output").read_text()
    )


def test_each_failure_is_said_and_nothing_that_passed() -> None:
    """With the kernel, its verdict and why."""
    change = msgspec.structs.replace(REFUSED, kernels=(KERNEL,))
    assert failures_of(change, [KEEP, made(detail="error 0.031")]) == [
        "kernels/x.py: is of no operation",
        "kernels/alexnet_conv1_a.py: WRONG: error 0.031",
    ]
    assert failures_of(None, [KEEP]) == failures_of(PROPOSAL, [KEEP]) == []
