"""Where an answer is wrong and what that looks like, as records that a report holds."""

from collections.abc import Sequence
from typing import Literal

import msgspec

RIGHT, WRONG, UNWRITTEN, UNSEEN = ".", "#", "?", " "
"""What the elements of a plane are drawn as; what was not looked at is left blank."""

Kind = Literal["unwritten", "stale", "race", "uninitialised", "halo", "tail", "channel", "item", "precision"]


class FaultMap(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer is wrong.

    `where` names the wrong places along each axis in words. `plane` says of which plane `rows` are the
    picture, a character an element: `.` right, `#` wrong, `?` never written, a blank not looked at.
    """

    wrong: int
    compared: int
    unwritten: int
    where: str
    plane: str
    rows: tuple[str, ...]


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of fault it looks like, and which fact says so."""

    kind: Kind
    because: str


def shrink_rows(rows: Sequence[str], tall: int, wide: int) -> list[str]:
    """Return the picture with so many rows and columns drawn as one character: wrong where any is."""
    columns = max(map(len, rows), default=0)
    return [
        "".join(
            _worst("".join(row[left : left + wide] for row in rows[top : top + tall]))
            for left in range(0, columns, wide)
        )
        for top in range(0, len(rows), tall)
    ]


def _worst(marks: str) -> str:
    return next(mark for mark in (WRONG, UNWRITTEN, RIGHT, UNSEEN, "") if mark in marks)
