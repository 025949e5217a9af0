"""How much of the answer whole grids store, counted once for all plans that do the same to memory."""

import threading
from collections.abc import Hashable

from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.execution.observed.covered import interpreted_part


class StoresCounted:
    """What is counted, and what some caller is counting: configurations often differ in warps alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Hashable, int | None] = {}

    def begin(self, plan: LaunchPlan) -> bool:
        """Return whether the caller has to count, as the first that comes with such a plan."""
        alike = interpreted_part(plan)
        with self._lock:
            is_first = alike not in self._counts
            self._counts.setdefault(alike, None)
        return is_first

    def note(self, plan: LaunchPlan, count: int | None) -> None:
        """Note how many elements were counted, None where stores alone do not tell."""
        self._counts[interpreted_part(plan)] = count

    def known(self, plan: LaunchPlan) -> int | None:
        """Return what was counted; None while another caller does it, whose case tells what is lacking."""
        return self._counts.get(interpreted_part(plan))

    def give_up(self, plan: LaunchPlan) -> None:
        """Leave the counting to the next caller."""
        self._counts.pop(interpreted_part(plan), None)
