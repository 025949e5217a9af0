"""What the files of a change come to: kernels to judge, what is refused, what of the judge is edited."""

import os
from pathlib import Path

import msgspec
import pytest

from kernelgate.operations import OPERATIONS, name_of
from kernelgate.pull_request.change import OWN, Change, Entry, classify, head_of, read_change, show_blob
from tests.selftest.support.made_up_repository import commit, commit_index, git, make_repository

ACCEPTED = "kernels/alexnet_conv1.py"
ORIGINAL = "kernels/alexnet_conv1_original.py"
OLD = "kernels/alexnet_conv1_old.py"
NOTHING = Change(kernels=(), refused=(), edited={})
A_TEXT = msgspec.structs.replace(NOTHING, beside_kernels=True)
"""A change that touches neither a kernel nor what judges, but more than kernel files."""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository whose only commit holds an accepted kernel, its original, and another one."""
    make_repository(tmp_path)
    commit(tmp_path, {ACCEPTED: b"# accepted\n", ORIGINAL: b"# original\n", OLD: b"# old\n"})
    return tmp_path


def change_by(repository: Path, files: dict[str, bytes | None]) -> Change:
    """Return what the commit that does this to the files changes."""
    return read_change(repository, head_of(repository), commit(repository, files))


def proposed(change: Change) -> list[str]:
    return [kernel.path for kernel in change.kernels]


def test_an_edited_kernel_is_proposed(repository: Path) -> None:
    """With its bytes as the commit has them, and nothing beside it."""
    change = change_by(repository, {ACCEPTED: b"# edited\n"})
    assert proposed(change) == [ACCEPTED]
    assert change.kernels[0].operation == "alexnet_conv1"
    assert show_blob(repository, change.kernels[0].blob) == b"# edited\n"
    assert msgspec.structs.replace(change, kernels=()) == NOTHING
    assert not change.guards_all
    assert not change.needs_tests


def test_an_added_kernel_is_judged_as_the_operation_that_its_name_begins_with(repository: Path) -> None:
    """So two ideas can be proposed at once."""
    names = ["kernels/alexnet_conv1_pipelined.py", "kernels/alexnet_conv1_tma.py"]
    change = change_by(repository, dict.fromkeys(names, b"# new\n"))
    assert proposed(change) == names
    assert {kernel.operation for kernel in change.kernels} == {"alexnet_conv1"}
    assert not change.refused


@pytest.mark.parametrize(
    "name", ["resnet_conv1", "alexnet_conv10", "conftest", "my_alexnet_conv1", "__init__", ""]
)
def test_a_kernel_of_no_known_operation_is_refused(repository: Path, name: str) -> None:
    """What it computes is not to be guessed; the known ones are named."""
    change = change_by(repository, {f"kernels/{name}.py": b"# new\n"})
    assert not change.kernels
    assert len(change.refused) == 1
    assert change.refused[0].startswith(f"kernels/{name}.py: ")
    assert change.refused[0].endswith(f": {', '.join(OPERATIONS)}")


def test_the_longest_name_of_an_operation_counts() -> None:
    """Where the name of one begins with another's."""
    names = ("alexnet_conv1", "alexnet_conv1_backward")
    assert name_of("alexnet_conv1_backward_tma", names) == "alexnet_conv1_backward"
    assert name_of("alexnet_conv1_backwards", names) == "alexnet_conv1"
    assert name_of("alexnet", names) is None


def test_a_projects_own_problems_are_known_by_their_names() -> None:
    """As an operation is: by what the kernel file's name begins with."""
    entry = Entry(path="kernels/rms_tiled.py", mode="100644", blob="0" * 40)
    assert classify([entry]).refused
    (proposed,) = classify([entry], ("rms",)).kernels
    assert proposed.operation == "rms"


@pytest.mark.parametrize(
    "files",
    [
        {ORIGINAL: b"# another\n"},
        {ORIGINAL: None},
        {"kernels/alexnet_conv1_v2_original.py": b"# original\n"},
        {"kernels/resnet_original.py": b"# original\n"},
    ],
    ids=["edited", "removed", "added", "added for no operation"],
)
def test_an_original_is_never_touched(repository: Path, files: dict[str, bytes | None]) -> None:
    """It is the control of every timing."""
    change = change_by(repository, files)
    assert not change.kernels
    assert [why.partition(": ")[2] for why in change.refused] == [
        "the original is the control of every timing and must never change"
    ]


def test_an_accepted_kernel_is_never_removed(repository: Path) -> None:
    """It could come back as a new one that has nothing to beat."""
    change = change_by(repository, {ACCEPTED: None})
    assert [why.partition(":")[0] for why in change.refused] == [ACCEPTED]
    assert not change.kernels


def test_another_kernel_may_be_removed(repository: Path) -> None:
    """There is nothing to judge about that, but a self-test may have read it."""
    assert change_by(repository, {OLD: None}) == A_TEXT


def test_a_renamed_accepted_kernel_is_a_removed_and_a_new_one(repository: Path) -> None:
    """The name is what is accepted, not the bytes."""
    change = change_by(repository, {ACCEPTED: None, "kernels/alexnet_conv1_renamed.py": b"# accepted\n"})
    assert proposed(change) == ["kernels/alexnet_conv1_renamed.py"]
    assert [why.partition(":")[0] for why in change.refused] == [ACCEPTED]


def test_a_folder_in_the_place_of_a_kernel_is_a_removed_one(repository: Path) -> None:
    """What lies in the folder is no kernel."""
    change = change_by(repository, {ACCEPTED: None, f"{ACCEPTED}/alexnet_conv1.py": b"# new\n"})
    assert [why.partition(":")[0] for why in change.refused] == [ACCEPTED]
    assert not change.kernels


@pytest.mark.parametrize("target", ["alexnet_conv1_original.py", "/etc/passwd", "nowhere"])
@pytest.mark.parametrize("name", [ACCEPTED, "kernels/alexnet_conv1_link.py"])
def test_a_link_is_refused(repository: Path, name: str, target: str) -> None:
    """Added, or in the place of an accepted kernel."""
    base = head_of(repository)
    (repository / name).unlink(missing_ok=True)
    (repository / name).symlink_to(target)
    change = read_change(repository, base, commit(repository, {}))
    assert not change.kernels
    assert [why.partition(": ")[2] for why in change.refused] == [
        "must be a regular file, not a link or a module of another repository"
    ]


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "as its own file asks to be left out"])
@pytest.mark.parametrize("name", [ACCEPTED, "kernels/alexnet_conv1_module.py"])
def test_a_module_of_another_repository_is_refused(repository: Path, name: str, hidden: bool) -> None:
    """Nor does a .gitmodules of the change keep it out of sight."""
    base = head_of(repository)
    if hidden:
        text = f'[submodule "m"]\n\tpath = {name}\n\turl = ../elsewhere\n\tignore = all\n'
        (repository / ".gitmodules").write_text(text)
        git(repository, "add", ".gitmodules")
    (repository / name).unlink(missing_ok=True)
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{base},{name}")
    change = read_change(repository, base, commit_index(repository))
    assert not change.kernels
    assert [why.partition(":")[0] for why in change.refused] == [name]


def test_a_change_of_the_mode_alone_is_judged(repository: Path) -> None:
    """The gate says that its bytes are the accepted ones; nobody has to know better here."""
    base = head_of(repository)
    (repository / ACCEPTED).chmod(0o755)
    change = read_change(repository, base, commit(repository, {}))
    assert proposed(change) == [ACCEPTED]
    assert show_blob(repository, change.kernels[0].blob) == b"# accepted\n"


@pytest.mark.parametrize(
    "name",
    ["kernels/sub/alexnet_conv1.py", "alexnet_conv1.py", "kernels/notes.md", "docs/kernels/alexnet_conv1.py"],
)
def test_what_lies_elsewhere_is_no_kernel(repository: Path, name: str) -> None:
    """Kernels are the Python files directly in kernels/."""
    change = change_by(repository, {name: b"# new\n"})
    assert (change.kernels, change.refused) == ((), ())


@pytest.mark.parametrize("part", ['"', "'", "$(touch x)", "`touch x`", "a b", "&;|", "-x", "%0A", "é", "{}"])
def test_a_name_of_printable_text_is_taken_as_it_is(repository: Path, part: str) -> None:
    """No shell reads it, and git does not quote it."""
    name = f"kernels/alexnet_conv1_{part}.py"
    change = change_by(repository, {name: b"# new\n"})
    assert proposed(change) == [name]
    assert not change.refused


@pytest.mark.parametrize(
    "part",
    ["\n", "é\n", "\nkernels/x", "\t", "\r", "\x1b[2J", "\x7f", "\u202e", "\u2028", os.fsdecode(b"\xff\xfe")],
)
def test_a_name_that_is_not_printable_text_is_refused(repository: Path, part: str) -> None:
    """And what is said of it is plain ASCII on one line."""
    change = change_by(repository, {f"kernels/alexnet_conv1_{part.replace('/', '_')}.py": b"# new\n"})
    assert not change.kernels
    assert len(change.refused) == 1
    assert change.refused[0].isprintable()
    assert change.refused[0].isascii()
    assert "must be printable text" in change.refused[0]


JUDGING = [
    ("pyproject.toml", "settings and dependencies", True),
    ("kernelgate/settings.toml", "settings and dependencies", True),
    ("constraints.txt", "settings and dependencies", True),
    ("kernelgate/verdict.py", "gate", True),
    ("kernelgate/worker/loop.py", "gate", True),
    ("tests/gate/test_compile.py", "gate", True),
    ("tests/__init__.py", "gate", True),
    ("tests/conftest.py", "gate", True),
    ("conftest.py", "gate", True),
    ("torch.py", "gate", True),
    ("pytest/__init__.py", "gate", True),
    ("sitecustomize.py", "gate", True),
    ("setup.py", "gate", True),
    ("pytest.ini", "gate", True),
    (".gitattributes", "gate", True),
    ("tests/other.py", "gate", True),
    ("baselines/alexnet_conv1/sm_89.json", "records", True),
    (".github/workflows/gate.yml", "workflow", False),
    (".github/scripts/verdict.py", "workflow", False),
    (".ci/run", "workflow", False),
    (".actrc", "workflow", False),
    ("Makefile", "settings and dependencies", True),
    (".github/scripts/set-up.sh", "settings and dependencies", True),
    (".github/scripts/environment-key.sh", "settings and dependencies", True),
]


@pytest.mark.parametrize(("name", "kind", "guards_all"), JUDGING, ids=[name for name, _, _ in JUDGING])
def test_what_judges_is_listed_by_its_kind(repository: Path, name: str, kind: str, guards_all: bool) -> None:
    """Added, edited or removed; what decides on kernels has all accepted ones judged anew."""
    for content in (b"added\n", b"edited\n", None):
        change = change_by(repository, {name: content})
        assert change == msgspec.structs.replace(A_TEXT, edited={kind: (name,)})
        assert change.guards_all is guards_all
        assert change.needs_tests


def test_every_place_of_what_judges_is_tried_here() -> None:
    """Of each kind."""
    tried = {
        (kind, place) for name, kind, _ in JUDGING for place in OWN.get(kind, ()) if name.startswith(place)
    }
    assert tried == {(kind, place) for kind, places in OWN.items() for place in places}


@pytest.mark.parametrize(
    "name", ["README.md", "mkdocs.yml", "docs/design.md", "tests/selftest/test_x.py", "benchmarks/x.py"]
)
def test_what_does_not_judge_is_not_listed(repository: Path, name: str) -> None:
    """Texts and tests of the gate decide on no kernel."""
    assert change_by(repository, {name: b"new\n"}) == A_TEXT


@pytest.mark.parametrize(
    "name",
    [
        *(name for name, _, _ in JUDGING),
        "README.md",
        "docs/design.md",
        "tests/selftest/test_x.py",
        "benchmarks/x.py",
        "kernels/notes.md",
        "kernels/sub/alexnet_conv1.py",
    ],
)
def test_whatever_lies_beside_a_kernel_needs_the_tests(repository: Path, name: str) -> None:
    """Lint, types and self-tests read all of it; only a change of judged kernels goes without them."""
    assert not change_by(repository, {ACCEPTED: b"# edited\n", OLD: b"# edited\n"}).needs_tests
    change = change_by(repository, {ACCEPTED: b"# edited again\n", name: b"new\n"})
    assert proposed(change) == [ACCEPTED]
    assert change.needs_tests


def test_kernels_and_what_judges_are_told_apart_in_one_change(repository: Path) -> None:
    """The kernel is judged, and the edits beside it are named, each kind with all its files."""
    names = ("baselines/a.json", "baselines/b.json", "Makefile")
    change = change_by(repository, {ACCEPTED: b"# edited\n", **dict.fromkeys(names, b"new\n")})
    assert proposed(change) == [ACCEPTED]
    assert change.edited == {"records": names[:2], "settings and dependencies": names[2:]}
    assert change.guards_all


def test_an_empty_change_is_nothing(repository: Path) -> None:
    """A commit need not change anything."""
    assert change_by(repository, {}) == NOTHING
