"""The plan of one configuration as it is timed."""

import msgspec

from kernelgate.execution.plan_files import StoredPlan


class TimedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan, and the places of the steps that a second call leaves out, since the file keeps their result.

    They prepare parameters. So they are done once for new parameters, and are no part of a timed call.
    """

    stored: StoredPlan
    prepared: tuple[int, ...] = ()
