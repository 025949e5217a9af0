"""What a kernel file is compiled for, and what it is compiled to."""

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.execution.cards import ADA, KNOWN, Card
from kernelgate.execution.work import PlanWork
from kernelgate.machine.gpu import read_card_at_hand

Launched = tuple[str, tuple[int, int, int], str]
"""One launch: the digest of its machine code, its grid, the digest of its arguments."""


class CompiledKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel file compiled for one target: one record a configuration, in the order of the file.

    `works` has for each of them what its plan does, None where that cannot be counted; it is empty where the
    configurations come from a stored record.
    """

    target: str
    kernel_sha256: str
    configs: tuple[ConfigRecord, ...]
    works: tuple[PlanWork | None, ...] = ()

    @property
    def capability(self) -> int:
        """The compute capability that the code is made for, 89 for `sm_89 on sm_90`."""
        return int(self.target.split()[0].removeprefix("sm_"))

    def programs(self) -> frozenset[tuple[Launched, ...]]:
        """Return what the GPU may be asked to run."""
        return frozenset(launched(record) for record in self.configs if record.launches)

    def refused(self) -> frozenset[str]:
        """Return the configurations that cannot run: an autotuner may stumble over one."""
        return frozenset(str(record.config) for record in self.configs if record.error)


def launched(record: ConfigRecord) -> tuple[Launched, ...]:
    """Return what the GPU is asked to run in this configuration."""
    return tuple((launch.code_sha256, launch.grid, launch.arguments_sha256) for launch in record.launches)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel file is compiled for; `batches` beside the measured one only fill the cache.

    With a `card` the PTX is that for `capability`, assembled for a GPU of this one. `at_hand` is the GPU
    itself, if there is one of this kind. Plans of what `is_timed` are kept in the sandbox.
    """

    capability: int
    batches: tuple[int, ...] = ()
    card: int | None = None
    at_hand: Card | None = None
    is_timed: bool = False

    @property
    def gpu(self) -> Card:
        """What host code is told of the GPU that it is compiled for."""
        return KNOWN.get(self.capability, ADA) if self.at_hand is None else self.at_hand

    def __str__(self) -> str:
        assembled = "" if self.card is None else f" on sm_{self.card}"
        return f"sm_{self.capability}{assembled}"


def target_at_hand(capability: int, ada_on: int | None, batches: tuple[int, ...] = ()) -> Target:
    """Return the GPU at hand as a target that is timed; with `ada_on` it runs the code of an RTX 4090."""
    return Target(
        capability=capability if ada_on is None else ADA.capability,
        batches=batches,
        card=ada_on,
        at_hand=None if ada_on is not None else read_card_at_hand(),
        is_timed=True,
    )
