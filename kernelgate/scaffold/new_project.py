"""A project of one's own is begun: its table in pyproject.toml, a problem, a kernel, a workflow."""

import re
from collections.abc import Callable
from pathlib import Path

from kernelgate.errors import KernelgateError
from kernelgate.operations import OPERATIONS
from kernelgate.scaffold import project_texts as texts
from kernelgate.settings import PROJECT_FILE, has_table, load_settings

Ask = Callable[[Path], bool]
"""Asks whether a file that is there may be written over."""


class NameRefusedError(KernelgateError, ValueError):
    """The name cannot be that of a problem, with what may be one."""


def write_project(root: Path, name: str, may_replace: Ask) -> list[Path]:
    """Return the files that were written under the folder; what is there stays, unless it may be replaced.

    Raises NameRefusedError, or SettingsError for a table that cannot be read, before anything is written.
    """
    table = _find_table(root, name)
    files = {
        f"problems/{name}.py": texts.PROBLEM.replace("@NAME@", name),
        f"kernels/{name}.py": texts.KERNEL,
        ".github/workflows/kernelgate.yml": texts.WORKFLOW,
        ".actrc": texts.ACTRC,
    }
    written = [_append(root / PROJECT_FILE, table)] if table else []
    for path, text in files.items():
        file = root / path
        if not file.exists() or may_replace(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            written.append(file)
    return written


def _find_table(root: Path, name: str) -> str:
    """Return the text that pyproject.toml lacks, empty if it names the problem already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in OPERATIONS:
        known = ", ".join(OPERATIONS)
        raise NameRefusedError(
            f"{name!r} is no name of a problem; allowed: small letters, digits and _, and none of {known}"
        )
    table = texts.TABLE.replace("@NAME@", name)
    if not has_table(root):
        return table
    if name in (problems := load_settings(root / PROJECT_FILE).problems):
        return ""
    if problems:
        line = table.splitlines()[-1]
        raise NameRefusedError(
            f"{root / PROJECT_FILE}: has other problems; add to [tool.kernelgate.problems]: {line}"
        )
    return table


def _append(file: Path, text: str) -> Path:
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text((before.rstrip("\n") + "\n" + text if before else text.lstrip("\n")), encoding="utf-8")
    return file
