"""Real repositories of git, with any files in their commits."""

import subprocess
from pathlib import Path

from kernelgate.pull_request.change import head_of


def make_repository(folder: Path) -> None:
    """Make an empty one, whose first branch is main."""
    subprocess.run(
        ["git", "init", "--quiet", "--initial-branch", "main", str(folder)], check=True, timeout=30
    )


def git(folder: Path, *words: str, content: bytes = b"") -> str:
    """Return what git says."""
    name = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *name, *words]
    run = subprocess.run(command, check=True, timeout=30, capture_output=True, input=content)
    return run.stdout.decode().strip()


def hash_content(folder: Path, content: bytes) -> str:
    """Return the blob of this content, which lies in the repository from now on."""
    return git(folder, "hash-object", "-w", "--stdin", content=content)


def commit(folder: Path, files: dict[str, bytes | None]) -> str:
    """Return the hash of a new commit in which these files are written, or removed where there is None."""
    for name, content in files.items():
        file = folder / name
        if content is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    git(folder, "add", "--all")
    return commit_index(folder)


def commit_index(folder: Path) -> str:
    """Return the hash of a new commit of git's index as it is."""
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "next")
    return head_of(folder)
