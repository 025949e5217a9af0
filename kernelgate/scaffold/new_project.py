"""A project of one's own is begun: its table in pyproject.toml, a problem, a kernel, a workflow."""

import keyword
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from kernelgate.errors import KernelgateError
from kernelgate.operations import OPERATIONS
from kernelgate.scaffold import project_texts as texts
from kernelgate.settings import PROJECT_FILE, SettingsError, load_settings

Ask = Callable[[Path], bool]
"""Asks whether a file that is there may be written over."""


class NameRefusedError(KernelgateError, ValueError):
    """The name cannot be that of a problem, with what may be one."""


def write_project(root: Path, name: str, may_replace: Ask) -> list[Path]:
    """Return the files that were written under the folder; what is there stays, unless it may be replaced.

    Raises NameRefusedError, or SettingsError for a pyproject.toml that cannot be read, before anything is
    written.
    """
    _check_name(root, name)
    settings, ignored = _add_problem(root / PROJECT_FILE, name), root / ".gitignore"
    files = {
        f"problems/{name}.py": texts.PROBLEM.replace("@NAME@", name),
        f"kernels/{name}.py": texts.KERNEL,
        "tests/gate/test_gate.py": texts.GATE,
        ".github/workflows/kernelgate.yml": texts.WORKFLOW,
        ".actrc": texts.ACTRC,
    }
    written = [_write(root / PROJECT_FILE, settings)] if settings else []
    if texts.IGNORED not in (before := _read(ignored)):
        written.append(_write(ignored, before + texts.IGNORED))
    for path, text in files.items():
        file = root / path
        if not file.exists() or may_replace(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            written.append(_write(file, text))
    return written


def _check_name(root: Path, name: str) -> None:
    if not root.is_dir():
        raise NameRefusedError(f"{root}: is no folder")
    if name in OPERATIONS:
        raise NameRefusedError(f"{name} is an operation of kernelgate's own; take another name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise NameRefusedError(
            f"{name!r} is no name of a problem; allowed: small letters, digits and _, no word of Python"
        )


def _add_problem(file: Path, name: str) -> str:
    """Return the text of pyproject.toml with the problem in it, empty if it is there already."""
    before, table = _read(file), texts.TABLE.replace("@NAME@", name)
    try:
        tool = tomllib.loads(before).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: cannot be read: {error}") from error
    if "kernelgate" not in tool or "problems" not in tool["kernelgate"]:
        return before.rstrip("\n") + "\n" + table if before else table.lstrip("\n")
    if name in load_settings(file).problems:
        return ""
    header, line = "[tool.kernelgate.problems]\n", table.splitlines()[-1]
    if before.count(header) != 1:
        raise NameRefusedError(f"{file}: add to [tool.kernelgate.problems]: {line}")
    return before.replace(header, f"{header}{line}\n")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file
