"""What a tuning has tried and found, kept in its report folder so that it can stop and go on."""

from pathlib import Path
from typing import Literal

import msgspec

from kernelgate.files import write_whole
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.tuning.options import Option, Timed

STATE_NAME = "tune.json"
Ending = Literal["compiled", "kept", "reverted", "undecided"]


class Tuned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was tried and found. `key` is what it was found with: all else equal, it is not tried again."""

    schema: Literal["kernelgate.tune/1"] = "kernelgate.tune/1"
    key: str
    file: str
    operation: str
    gpu: str | None
    ended: Ending
    detail: str
    options: tuple[Option, ...]
    configs: tuple[KernelConfig, ...] = ()
    final: Timed | None = None
    source: str = ""
    counters: Counters | None = None


def write_state(tuned: Tuned, directory: Path) -> None:
    """Keep the state in the folder, whole or not at all."""
    state = msgspec.json.format(msgspec.json.encode(tuned), indent=2) + b"\n"
    write_whole(directory / STATE_NAME, state)


def read_state(directory: Path) -> Tuned | None:
    """Return the state kept in the folder, None if there is none that can be read."""
    try:
        return msgspec.json.decode((directory / STATE_NAME).read_bytes(), type=Tuned)
    except (OSError, ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        return None
