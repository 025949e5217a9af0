"""Which commits a change is read from: where it left its base, whatever the configuration of git."""

from pathlib import Path

import pytest

from kernelgate.pull_request.change import Change, ChangeError, head_of, read_change, show_blob
from tests.selftest.support.made_up_repository import commit, git, hash_content, make_repository

ACCEPTED = "kernels/alexnet_conv1.py"
ADDED = "kernels/alexnet_conv1_added.py"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository whose branch main has one commit, with an accepted kernel."""
    make_repository(tmp_path)
    commit(tmp_path, {ACCEPTED: b"# accepted\n" * 40})
    return tmp_path


def proposed(change: Change) -> list[str]:
    return [kernel.path for kernel in change.kernels]


@pytest.fixture
def moved_on(repository: Path) -> tuple[str, str]:
    """Return the hashes of main, which has edited the gate since, and of a branch that adds a kernel."""
    git(repository, "checkout", "--quiet", "-b", "branch")
    head = commit(repository, {ADDED: b"# added\n"})
    git(repository, "checkout", "--quiet", "main")
    base = commit(repository, {ACCEPTED: b"# newer\n", "kernelgate/verdict.py": b"# newer\n"})
    return base, head


def test_what_the_base_has_got_since_is_not_the_change_s(repository: Path, moved_on: tuple[str, str]) -> None:
    """A change is what it did since it left the base."""
    change = read_change(repository, *moved_on)
    assert proposed(change) == [ADDED]
    assert change.edited == {}


def test_a_merge_as_github_makes_it_is_the_change_alone(repository: Path, moved_on: tuple[str, str]) -> None:
    """Its first parent is the base, and what the base has got since is in both."""
    base, head = moved_on
    git(repository, "merge", "--quiet", "--no-ff", "--message", "merge", head)
    assert git(repository, "rev-parse", "HEAD^1", "HEAD^2").split() == [base, head]
    change = read_change(repository, base, head_of(repository))
    assert proposed(change) == [ADDED]
    assert change.edited == {}


def test_a_push_back_to_an_older_commit_is_compared_with_what_it_takes_back(repository: Path) -> None:
    """Nothing was added since they parted, and yet another kernel is there."""
    older = head_of(repository)
    newer = commit(repository, {ACCEPTED: b"# newer\n"})
    (kernel,) = read_change(repository, newer, older).kernels
    assert kernel.path == ACCEPTED
    assert show_blob(repository, kernel.blob) == b"# accepted\n" * 40


def test_all_commits_of_a_change_count_together(repository: Path) -> None:
    """What one commit does and the next undoes is nothing."""
    base = head_of(repository)
    commit(repository, {ADDED: b"# first\n", "Makefile": b"first\n"})
    (repository / "Makefile").unlink()
    change = read_change(repository, base, commit(repository, {ADDED: b"# second\n"}))
    assert [show_blob(repository, kernel.blob) for kernel in change.kernels] == [b"# second\n"]
    assert change.edited == {}


def test_a_commit_against_itself_has_everything_judged(repository: Path) -> None:
    """A branch's first push has nothing before it."""
    head = head_of(repository)
    change = read_change(repository, head, head)
    assert change == Change(kernels=(), refused=(), edited={}, from_nothing=True)
    assert change.guards_all


def test_what_is_not_committed_is_no_part_of_a_change(repository: Path) -> None:
    """Neither in the folder nor in git's index."""
    base = head_of(repository)
    head = commit(repository, {"README.md": b"new\n"})
    (repository / ACCEPTED).write_bytes(b"# lies about\n")
    (repository / ADDED).write_bytes(b"# staged\n")
    git(repository, "add", ADDED)
    text_alone = Change(kernels=(), refused=(), edited={}, beside_kernels=True)
    assert read_change(repository, base, head) == text_alone


def test_a_head_may_be_named(repository: Path, moved_on: tuple[str, str]) -> None:
    """By branch or hash; without a name it is what is checked out."""
    base, head = moved_on
    assert head_of(repository) == base
    assert head_of(repository, "branch") == head_of(repository, head[:12]) == head


@pytest.mark.parametrize(
    "revision", ["nowhere", "--help", "-1", "", f"HEAD:{ACCEPTED}", "HEAD:kernels", "main branch"]
)
def test_a_head_that_is_no_commit_is_an_error(repository: Path, revision: str) -> None:
    """Nor is it ever an option of git."""
    with pytest.raises(ChangeError, match=str(repository)):
        head_of(repository, revision)


def test_commits_without_a_common_one_cannot_be_compared(repository: Path) -> None:
    """There is no point at which the change left the base."""
    base = head_of(repository)
    git(repository, "checkout", "--quiet", "--orphan", "other")
    head = commit(repository, {"README.md": b"other\n"})
    with pytest.raises(ChangeError, match="merge-base"):
        read_change(repository, base, head)


@pytest.mark.parametrize("unknown", ["0" * 40, "1" * 40])
def test_a_commit_that_is_not_there_is_an_error(repository: Path, unknown: str) -> None:
    """As in a checkout without its history."""
    head = head_of(repository)
    for pair in ((unknown, head), (head, unknown)):
        with pytest.raises(ChangeError, match=unknown):
            read_change(repository, *pair)


@pytest.mark.parametrize("place", ["empty", "missing"])
def test_outside_a_repository_there_is_no_change(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(ChangeError, match=place):
        head_of(tmp_path / place)
    with pytest.raises(ChangeError, match=place):
        read_change(tmp_path / place, "1" * 40, "2" * 40)


def test_a_repository_without_a_commit_has_no_head(tmp_path: Path) -> None:
    """Nothing is there to be judged."""
    make_repository(tmp_path)
    with pytest.raises(ChangeError):
        head_of(tmp_path)


def test_where_there_is_no_git_there_is_no_change(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is of the same kind, so that it is said in one line."""
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(ChangeError, match="git"):
        head_of(repository)


@pytest.mark.parametrize(
    "content", [b"", b"# crlf\r\n", b"\0\xff\xfe", b"no end of line", b"\xef\xbb\xbf# mark\n\n\n"]
)
def test_a_kernel_s_bytes_are_those_of_the_commit(repository: Path, content: bytes) -> None:
    """Nothing is decoded, stripped or converted."""
    base = head_of(repository)
    git(repository, "config", "core.autocrlf", "false")
    change = read_change(repository, base, commit(repository, {ADDED: content}))
    assert show_blob(repository, change.kernels[0].blob) == content


@pytest.mark.parametrize("what", ["1" * 40, "HEAD"])
def test_what_is_no_file_of_a_commit_has_no_bytes(repository: Path, what: str) -> None:
    """A missing object, or a commit."""
    with pytest.raises(ChangeError, match="cat-file"):
        show_blob(repository, what)


CONFIGURATION = """
[core]
    autocrlf = true
    quotePath = true
    abbrev = 5
    pager = false
[diff]
    renames = copies
    noprefix = true
    mnemonicPrefix = true
    ignoreSubmodules = all
    submodule = log
    external = touch {marker}
    relative = true
[diff "evil"]
    command = touch {marker}
    textconv = touch {marker}
[color]
    ui = always
    diff = always
[log]
    showSignature = true
"""


def test_the_user_s_configuration_of_git_changes_nothing(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the attributes of the change, and no program is run."""
    outside = tmp_path_factory.mktemp("outside")
    base = head_of(repository)
    files = {
        f"kernels/alexnet_conv1_{part}.py": text.encode()
        for part, text in {"é": "é\r\n", '"': "x\n", "copy": "# accepted\n" * 40}.items()
    }
    attributes = b"* diff=evil\n*.py -text diff=evil working-tree-encoding=UTF-16\n"
    git(repository, "mv", ACCEPTED, "kernels/alexnet_conv1_moved.py")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{base},kernels/alexnet_conv1_module.py")
    git(repository, "commit", "--quiet", "--message", "first")
    (repository / ".gitattributes").write_bytes(attributes)
    for name, content in files.items():
        entry = f"100644,{hash_content(repository, content)},{name}"
        git(repository, "update-index", "--add", "--cacheinfo", entry)
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "--quiet", "--message", "second")
    head = head_of(repository)
    plain = read_change(repository, base, head)
    assert proposed(plain) == sorted([*files, "kernels/alexnet_conv1_moved.py"])
    assert [why.partition(":")[0] for why in plain.refused] == [ACCEPTED, "kernels/alexnet_conv1_module.py"]
    configuration = outside / "gitconfig"
    configuration.write_text(CONFIGURATION.format(marker=outside / "ran"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    assert git(repository, "config", "diff.renames") == "copies"
    assert read_change(repository, base, head) == plain
    assert read_change(repository / "kernels", base, head) == plain
    shown = {kernel.path: show_blob(repository, kernel.blob) for kernel in plain.kernels}
    assert shown == files | {"kernels/alexnet_conv1_moved.py": b"# accepted\n" * 40}
    assert not (outside / "ran").exists()


def test_a_file_called_as_a_commit_confuses_nobody(repository: Path) -> None:
    """Git would ask which of the two is meant."""
    base = head_of(repository)
    assert proposed(read_change(repository, base, commit(repository, {base: b"", ADDED: b"# added\n"}))) == [
        ADDED
    ]
