"""What a change proposes: kernels to judge, and what of the judge itself it edits beside them."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.operations import OPERATIONS, name_of

GIT_TIMEOUT_S = 60
DIFF = ("--raw", "-z", "--no-renames", "--no-abbrev", "--no-relative", "--ignore-submodules=none")
"""Said outright, since a user's configuration, or a .gitmodules of the change, may say otherwise."""

REGULAR = ("100644", "100755")
ABSENT = "000000"
ORIGINAL = "_original.py"

HARMLESS = (
    *("kernels/", "docs/", "benchmarks/", "tests/selftest/", ".gitignore", "LICENSE", "mkdocs.yml"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
)
OWN = {
    "settings and dependencies": (
        "kernelgate/settings.toml",
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        ".github/scripts/set-up.sh",
        ".github/scripts/environment-key.sh",
    ),
    "records": ("baselines/",),
    "workflow": (".github/", ".ci/", ".actrc"),
}
GATE = "gate"
"""All the rest is the gate's: a `torch.py` beside it would be imported in the library's place."""

GUARDED = ("settings and dependencies", "records", GATE)
"""Whoever edits these must not cost an accepted kernel its place: all are judged anew, under rule guard."""


class ChangeError(KernelgateError, ValueError):
    """The commits cannot be compared."""


class Entry(msgspec.Struct, frozen=True):
    """A file that differs: its path, and its mode and content afterwards (`ABSENT` where it is gone)."""

    path: str
    mode: str
    blob: str


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel file that is added or edited, and the operation that its name begins with."""

    path: str
    blob: str
    operation: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged, what is `refused` without a trial, and which files of the judge are `edited`.

    None of the edited files, listed by their kind, judges the kernels that come with them.
    `beside_kernels` says that it touches a file that is not judged as a kernel, be it a text or a test.
    `from_nothing` says that there is no earlier commit to compare with: then all is judged anew.
    """

    kernels: tuple[Proposed, ...]
    refused: tuple[str, ...]
    edited: dict[str, tuple[str, ...]]
    beside_kernels: bool = False
    from_nothing: bool = False

    @property
    def guards_all(self) -> bool:
        """Whether every accepted kernel must be judged anew."""
        return self.from_nothing or any(kind in self.edited for kind in GUARDED)

    @property
    def needs_tests(self) -> bool:
        """Whether lint, types and self-tests have something new to look at. They read texts too."""
        return self.from_nothing or self.beside_kernels


def head_of(checkout: Path, revision: str = "HEAD") -> str:
    """Return the full hash of a commit, of what is checked out by default; raises ChangeError."""
    return _git(checkout, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")


def read_change(repository: Path, base: str, head: str, names: Sequence[str] = OPERATIONS) -> Change:
    """Return what lies between two commits, by their full hashes; raises ChangeError if git cannot tell.

    `names` are what a kernel may compute, as the base knows them.
    A head with changes of its own is compared with where it left the base, as a pull request is; a head that
    takes changes of the base back, with the base.
    """
    if base == head:
        return Change(kernels=(), refused=(), edited={}, from_nothing=True)
    fork_point = _git(repository, "merge-base", base, head)
    before = base if fork_point == head else fork_point
    listed = _git(repository, "diff", *DIFF, before, head, "--")
    return classify(list(_entries(listed)), names)


def classify(entries: Sequence[Entry], names: Sequence[str] = OPERATIONS) -> Change:
    """Return what the files that differ come to."""
    edited: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        if kind := _kind_of(entry.path):
            edited[kind] = (*edited.get(kind, ()), entry.path)
    kernels, refused = [], []
    for entry in entries:
        if not re.fullmatch(r"kernels/[^/]*\.py", entry.path, re.DOTALL):
            continue
        proposed = _read_entry(entry, names)
        if isinstance(proposed, Proposed):
            kernels.append(proposed)
        elif proposed:
            refused.append(proposed)
    return Change(
        kernels=tuple(kernels),
        refused=tuple(refused),
        edited=edited,
        beside_kernels=len(kernels) < len(entries),
    )


def show_blob(repository: Path, blob: str) -> bytes:
    """Return the bytes of a file of a commit; raises ChangeError if git does not have them."""
    return _run_git(repository, "cat-file", "blob", blob)


def _kind_of(path: str) -> str | None:
    """Return what of the judge a file belongs to, None if it judges nothing."""
    if path.startswith(HARMLESS):
        return None
    return next((kind for kind, places in OWN.items() if path.startswith(places)), GATE)


def _read_entry(entry: Entry, names: Sequence[str]) -> Proposed | str:
    """Return the kernel to judge, why it is refused, or nothing where a file is only taken away."""
    name = PurePosixPath(entry.path).stem
    operation = name_of(name, names)
    if not entry.path.isprintable():
        return f"{entry.path!a}: a kernel file's name must be printable text"
    if entry.path.endswith(ORIGINAL):
        return f"{entry.path}: the original is the control of every timing and must never change"
    if entry.mode == ABSENT:
        return f"{entry.path}: an accepted kernel is replaced, never removed" if name in names else ""
    if entry.mode not in REGULAR:
        return f"{entry.path}: must be a regular file, not a link or a module of another repository"
    if operation is None:
        known = ", ".join(names)
        return f"{entry.path}: begins with the name of no operation that the base commit knows: {known}"
    return Proposed(path=entry.path, blob=entry.blob, operation=operation)


def _entries(listed: str) -> Iterator[Entry]:
    """Yield the entries of git's raw format: `:old new old-blob new-blob status NUL path NUL`."""
    fields = listed.split("\0")
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, blob, _ = head.split(" ")
        yield Entry(path, mode, blob)


def _git(repository: Path, *arguments: str) -> str:
    return _run_git(repository, *arguments).decode("utf-8", "surrogateescape").strip("\n")


def _run_git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=GIT_TIMEOUT_S).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise ChangeError(f"{repository}: git {' '.join(arguments)}: {said}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ChangeError(f"{repository}: git {' '.join(arguments)}: {error}") from error
