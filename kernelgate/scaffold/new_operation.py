"""A new operation is written down: its declaration, its first kernel twice, its first test."""

import hashlib
import keyword
import re
from pathlib import Path

from kernelgate.errors import KernelgateError
from kernelgate.scaffold.texts import KERNEL, OPERATION, TEST

ORIGINAL = "_original"


class NameTakenError(KernelgateError, ValueError):
    """The name cannot be that of a new operation, with the reason and what may be one."""


def files_of(name: str) -> dict[str, str]:
    """Return the files of a new operation by their paths in the project, each as it is to be written."""
    kernel = KERNEL.replace("@NAME@", name)
    sha256 = hashlib.sha256(kernel.encode()).hexdigest()
    blanks = {"@NAME@": name, "@UPPER@": name.upper(), "@SHA256@": sha256}
    operation, test = OPERATION, TEST
    for blank, filled in blanks.items():
        operation, test = operation.replace(blank, filled), test.replace(blank, filled)
    return {
        f"kernelgate/operations/{name}.py": operation,
        f"kernels/{name}{ORIGINAL}.py": kernel,
        f"kernels/{name}.py": kernel,
        f"tests/selftest/operations/test_{name}.py": test,
    }


def write_operation(root: Path, name: str) -> list[Path]:
    """Write the files of a new operation under the project's folder, and return them.

    Raises NameTakenError before anything is written.
    """
    check_name(root, name)
    written = []
    for path, text in files_of(name).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
        written.append(file)
    return written


def check_name(root: Path, name: str) -> None:
    """Raise NameTakenError unless an operation of this name can be added to the project."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name) or name.endswith(ORIGINAL):
        allowed = "allowed: small letters, digits and _, a letter first, no word of Python"
        raise NameTakenError(f"{name!r} is no name of an operation; {allowed}, no {ORIGINAL} at its end")
    if not (root / "kernelgate" / "operations").is_dir():
        raise NameTakenError(f"{root} holds no kernelgate/operations: run this in a checkout of the project")
    taken = [root / "kernelgate" / "operations" / name, *(root / path for path in files_of(name))]
    if found := [each for each in taken if each.exists()]:
        raise NameTakenError(f"{name} is taken: {found[0].relative_to(root)} exists; take another name")
