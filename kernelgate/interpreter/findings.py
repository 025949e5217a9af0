"""What programs did that no right kernel does."""

from typing import Literal

import msgspec

Place = tuple[int, int, int]

Kind = Literal[
    "outside",
    "misaligned",
    "overwrites",
    "same-value",
    "lanes-differ",
    "reads-written",
    "writes-read",
    "no-barrier",
    "assert",
    "waits-for-ever",
    "endless",
]

MAX_OF_A_KIND = 8
"""So many findings of one kind are kept: the others say no more."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found.

    - outside: an access outside the buffers; misaligned: at an address that is no multiple of its size.
    - overwrites: two programs of a launch wrote different values to one element; same-value: equal ones;
      lanes-differ: two lanes of one program wrote different ones.
    - reads-written: a program read what another one of the launch had written, without an atomic operation
      before; writes-read: it wrote what another one had read.
    - no-barrier: a program read what another of its threads had stored, with no barrier between.
    - assert: a device assertion failed.
    - waits-for-ever: programs wait for each other; endless: loops do not end.

    `other` is the other program; `offset` is in bytes, from the start of `buffer`. `line` is that of the
    text where it happened, from 1.
    """

    kind: Kind
    kernel: str
    program: Place
    text: str
    other: Place | None = None
    buffer: str | None = None
    offset: int | None = None
    line: int = 0


class Findings:
    """The findings of a memory's launches, the first of each kind."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Keep a finding, unless there are enough of its kind."""
        count = self.counts[finding.kind] = self.counts.get(finding.kind, 0) + 1
        if count <= MAX_OF_A_KIND:
            self.found.append(finding)
