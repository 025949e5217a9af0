"""How long the correctness stage looks, by Hypothesis's own profiles: `ci`, `default` and `nightly`."""

import secrets
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from kernelgate.settings import CorrectnessSettings

SEED_LIMIT = 2**30
FIXED_ENTROPY = 20_120_930
"""Any number would do: a derandomised run draws the same cases each time."""

EXAMPLES = Path(".hypothesis") / "kernelgate"
"""Where failing examples are kept, to be tried first on the next kernel."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How much is drawn, and `swept` on a GPU.

    `fixed` draws the same each time; `database` is where failing examples are kept.
    """

    name: str
    fixed: bool
    examples: int
    draw_seconds: float
    shrink_seconds: float
    swept: int = 0
    database: Any = None

    def draw_entropy(self) -> int:
        """Return what seeds every draw of a run."""
        return FIXED_ENTROPY if self.fixed else secrets.randbelow(SEED_LIMIT)


def register_profiles(settings: CorrectnessSettings) -> None:
    """Make the profiles known to Hypothesis, whose `--hypothesis-profile` and CI detection choose one."""
    for name, budget in settings.profiles.items():
        hypothesis.settings.register_profile(
            name, max_examples=budget.examples, derandomize=budget.fixed, deadline=None, database=None
        )


def current_profile(settings: CorrectnessSettings, root: Path | None) -> Profile:
    """Return the profile that Hypothesis has loaded; `default` where it is none of ours.

    Failing examples are kept under `root`, unless there is none.
    """
    name = hypothesis.settings.get_current_profile_name()
    name = name if name in settings.profiles else "default"
    budget = settings.profiles[name]
    kept: ExampleDatabase | None = None
    if root is not None and not budget.fixed:
        kept = DirectoryBasedExampleDatabase(root / EXAMPLES)
    return Profile(
        name=name,
        fixed=budget.fixed,
        examples=budget.examples,
        draw_seconds=budget.draw_seconds,
        shrink_seconds=settings.shrink_seconds,
        swept=budget.swept,
        database=kept,
    )
