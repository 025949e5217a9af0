"""What a worker tells of a launch that ran."""

import msgspec


class SeenLaunch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One launch of a call: the programs of its grid, how many of them ran, and what the busiest wrote.

    `ttir` is the digest of what was compiled: where it differs, bits may.
    `programs_idle` are those at the end of the grid that write nothing, where programs are sampled.
    `most_written` counts its elements, averaged over the rows of the grid where each has a busiest one.
    `makes_answer` if it wrote into the memory of the answer alone, and no later launch read what it wrote:
    then some of its programs can be run without the others. Where these take long, fewer run than were asked
    for: it is `thinned`. Mode `execute` counts none of these.
    """

    kernel: str
    ttir: str = ""
    programs_run: int
    programs_total: int
    makes_answer: bool
    most_written: int = 0
    programs_idle: int = 0
    thinned: bool = False
