"""What travels with an order: the files that it names, and what a project has that decides."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from kernelgate.batch.order import Order
from kernelgate.settings import PROJECT_FILE, load_settings

PROJECT_FOLDERS = ("kernels", "problems", "baselines")
CACHE = "__pycache__"


def read_candidate(order: Order) -> bytes | None:
    """Return the candidate's bytes, None for one that is no kernel file."""
    if order.sha256 is None:
        return None
    with contextlib.suppress(OSError):
        return Path(order.file).read_bytes()
    return None


def read_files(order: Order) -> dict[str, bytes]:
    """Return all else that the order needs, by the names that it has here.

    That is the problem file, the plan book, and of the project its settings, kernels, problems and records.
    What cannot be read is left out: whoever judges says that it is missing.
    """
    files = {}
    for file in _list_files(order):
        with contextlib.suppress(OSError):
            files[str(file)] = file.read_bytes()
    return files


def pin_profile(order: Order) -> Order:
    """Return the order with the profile of this host, which Hypothesis takes from its environment."""
    profile = order.options.get("profile") or ("ci" if os.environ.get("CI") else "default")
    return replace(order, options=order.options | {"profile": profile})


def _list_files(order: Order) -> Iterator[Path]:
    if "problem" in order.options:
        yield Path(str(order.options["problem"]))
    if "plans" in order.options:
        yield from _list_folder(Path(str(order.options["plans"])))
    if order.project is not None:
        project = Path(order.project)
        yield project / PROJECT_FILE
        for name in PROJECT_FOLDERS:
            yield from _list_folder(project / name)
        yield from (project / path for path in load_settings(project / PROJECT_FILE).problems.values())


def _list_folder(folder: Path) -> Iterator[Path]:
    return (each for each in sorted(folder.rglob("*")) if each.is_file() and CACHE not in each.parts)
