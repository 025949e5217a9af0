"""All planted faults and look-alikes, by the file that holds them."""

import importlib
from collections.abc import Iterator
from pathlib import Path

from tests.selftest.corpus.planted.base import LookAlike, Planted

HERE = Path(__file__).parent
OF_OPERATIONS = "of_"
"""Begins the name of a file that holds faults and look-alikes of an operation beside the first one."""

STEMS = tuple(sorted(file.stem for file in HERE.glob("*.py")))
GROUPS = tuple(
    each for each in STEMS if each.endswith(("_faults", "_alikes")) or each.startswith(OF_OPERATIONS)
)


def entries(group: str) -> tuple[Planted | LookAlike, ...]:
    """Return the entries that a file of the corpus defines, those that it lists in capitals."""
    module = importlib.import_module(f"tests.selftest.corpus.planted.{group}")
    listed = [value for name, value in vars(module).items() if name.isupper() and isinstance(value, tuple)]
    return tuple(each for values in listed for each in values if isinstance(each, Planted | LookAlike))


def everything() -> Iterator[tuple[str, Planted | LookAlike]]:
    """Yield every entry with its group."""
    for group in GROUPS:
        for each in dict.fromkeys(entries(group)):
            yield group, each


def faults() -> list[tuple[str, Planted]]:
    """Return the planted faults with their groups."""
    return [(group, each) for group, each in everything() if isinstance(each, Planted)]


def look_alikes() -> list[tuple[str, LookAlike]]:
    """Return the honest files with their groups."""
    return [(group, each) for group, each in everything() if isinstance(each, LookAlike)]
