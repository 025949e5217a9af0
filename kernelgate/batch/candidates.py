"""Which files a batch judges: those that were named, and the kernel files of folders that were."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".py"


class Candidate(NamedTuple):
    """A file to judge, or why it is left out."""

    file: str
    refusal: str = ""


def list_candidates(named: Iterable[str | Path]) -> list[Candidate]:
    """Return each file once: as it was named, and of each folder the .py files by name.

    A folder's own folders are not entered. A link in it is left out and named: it may lead elsewhere.
    Raises OSError for a folder that cannot be read.
    """
    found: dict[str, Candidate] = {}
    for name in named:
        listed = _list_folder(name) if Path(name).is_dir() else [Candidate(str(name))]
        found |= {each.file: each for each in listed}
    return list(found.values())


def is_batch(named: list[str]) -> bool:
    """Return whether more than one file is asked for, or a folder of them."""
    return len(named) > 1 or any(map(os.path.isdir, named))


def _list_folder(folder: str | Path) -> Iterator[Candidate]:
    with os.scandir(folder) as entries:
        kernels = sorted((each for each in entries if each.name.endswith(SUFFIX)), key=lambda each: each.name)
    for each in kernels:
        refusal = (
            f"{each.path}: is a link; name the file itself to have it judged" if each.is_symlink() else ""
        )
        yield Candidate(each.path, refusal)
