"""What a plan names is read as what its name says, or not at all; what is kept is written anew."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import keep_plan, plan_file, read_content, read_plan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.made_up_plans import CONTENTS, NAMES, make_plan, write_plan

KINDS = sorted(CONTENTS)


def replace_by_a_link(file: Path) -> None:
    moved = file.rename(file.with_name("elsewhere"))
    file.symlink_to(moved)


def replace_by_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


REPLACED: dict[str, tuple[Callable[[Path], object], str]] = {
    "other-content": (lambda file: file.write_bytes(b"other"), "holds something else than its name says"),
    "cut-short": (lambda file: file.write_bytes(file.read_bytes()[:-1]), "holds something else"),
    "empty": (lambda file: file.write_bytes(b""), "holds something else"),
    "missing": (Path.unlink, "cannot be read"),
    "a-link": (replace_by_a_link, "cannot be read"),
    "a-pipe": (replace_by_a_pipe, "cannot be read: no regular file"),
    "a-folder": (replace_by_a_folder, "cannot be read"),
    "too-large": (lambda file: os.truncate(file, 64 * 2**20 + 1), "more than the"),
}


def test_a_plan_is_read_with_what_it_names(tmp_path: Path) -> None:
    """Each by its digest and kind."""
    stored = read_plan(write_plan(make_plan(), tmp_path), ALEXNET_CONV1)
    assert stored.plan == make_plan()
    assert {kind: stored.read(NAMES[kind], kind) for kind in KINDS} == CONTENTS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("replace", "says"), REPLACED.values(), ids=REPLACED.keys())
def test_a_content_that_is_not_what_its_name_says_is_seen(
    tmp_path: Path, replace: Callable[[Path], object], says: str, kind: str
) -> None:
    """Whatever lies in its place, and whichever it is; the message names the file."""
    file = write_plan(make_plan(), tmp_path)
    content = tmp_path / f"{NAMES[kind]}.{kind}"
    replace(content)
    with pytest.raises(PlanError, match=says) as caught:
        read_plan(file, ALEXNET_CONV1)
    assert str(content) in str(caught.value)


@pytest.mark.parametrize(
    "replace",
    [Path.unlink, replace_by_a_link, replace_by_a_pipe, replace_by_a_folder],
    ids=["missing", "a-link", "a-pipe", "a-folder"],
)
def test_a_plan_that_is_no_file_is_not_read(tmp_path: Path, replace: Callable[[Path], object]) -> None:
    """Nobody follows a link or waits for a pipe."""
    file = write_plan(make_plan(), tmp_path)
    replace(file)
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(file, ALEXNET_CONV1)


def test_a_plan_is_kept_under_its_own_digest(tmp_path: Path) -> None:
    """And reads as what it was, without the folder that it came from."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    kept = keep_plan(read_plan(write_plan(make_plan(), theirs), ALEXNET_CONV1), ours)
    for file in theirs.iterdir():
        file.unlink()
    again = read_plan(plan_file(kept), ALEXNET_CONV1)
    assert (again.plan, again.sha256, again.contents) == (make_plan(), kept.sha256, ours)


def test_keeping_a_plan_twice_gives_the_same_files(tmp_path: Path) -> None:
    """The second is no other plan, and no file is left half written."""
    stored = read_plan(write_plan(make_plan(), tmp_path), ALEXNET_CONV1)
    first = keep_plan(stored, tmp_path / "kept")
    files = {file: file.read_bytes() for file in (tmp_path / "kept").iterdir()}
    again = keep_plan(read_plan(plan_file(first), ALEXNET_CONV1), tmp_path / "kept")
    assert (again.sha256, plan_file(again)) == (first.sha256, plan_file(first))
    assert {file: file.read_bytes() for file in (tmp_path / "kept").iterdir()} == files
    assert len(files) == 1 + len(CONTENTS)


def test_two_plans_share_what_both_name(tmp_path: Path) -> None:
    """One file more, for the plan that differs."""
    for batch_card in ("sm_89", "sm_90"):
        folder = tmp_path / batch_card
        folder.mkdir()
        keep_plan(read_plan(write_plan(make_plan(card=batch_card), folder), ALEXNET_CONV1), tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2 + len(CONTENTS)


def test_what_changes_between_reading_and_keeping_is_not_kept(tmp_path: Path) -> None:
    """The worker that wrote the files still lives then."""
    stored = read_plan(write_plan(make_plan(), tmp_path), ALEXNET_CONV1)
    (tmp_path / f"{NAMES['cubin']}.cubin").write_bytes(b"other machine code")
    with pytest.raises(PlanError, match="holds something else"):
        keep_plan(stored, tmp_path / "kept")
    with pytest.raises(PlanError, match="cannot be read"):
        read_content(tmp_path / "kept", NAMES["cubin"], "cubin")
