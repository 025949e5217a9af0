"""The raw samples of a timing as JSON lines, from which anyone can compute the verdict again.

The first line says what was timed and by which settings; then each replicate has a line of its own, with what
its autotuners chose and how the GPU was, before those of its samples.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.machine.gpu import Gpu
from kernelgate.machine.versions import Provenance
from kernelgate.performance.samples import MeasuredReplicate, Reading, Sample
from kernelgate.settings import LawLimits, PerformanceSettings
from kernelgate.verdict import Rule


class SamplesError(KernelgateError, ValueError):
    """A file that holds no samples; the text says which line, and what is wrong with it."""


class Timing(msgspec.Struct, frozen=True, kw_only=True, tag="timing", forbid_unknown_fields=True):
    """What was timed, and how it was to be judged; with `ada_path` by an RTX 4090's code on another GPU."""

    schema: Literal["kernelgate.samples/2"] = "kernelgate.samples/2"
    operation: str
    gpu: Gpu
    rule: Rule
    settings: PerformanceSettings
    laws: LawLimits
    environment: Provenance
    ada_path: bool = False


class Processes(msgspec.Struct, frozen=True, kw_only=True, tag="replicate", forbid_unknown_fields=True):
    """The processes of one replicate, whose samples follow."""

    attempt: int
    replicate: int
    chosen: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]


Line = Timing | Processes | Sample
_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)

FIRST_SETTINGS = {
    "attempts": 2,
    "blocks_per_layout": 2,
    "judged_elements": 1024,
    "confidence": 0.95,
    "boundary_shape": 0.25,
    "trimmed_share": 0.1,
    "max_creep": 0.02,
    "max_choice_effect": 0.005,
    "max_clocks_apart": 0.005,
    "min_cluster_gap": 0.005,
    "cluster_gap_to_spread": 3.0,
    "max_throttled_share": 0.1,
    "max_overhead_ms": 0.08,
    "max_overhead_share": 0.002,
}
FIRST_LAWS = {"max_error_ratio": 4.0, "min_ratio_elements": 256, "busiest_margin": 1.002}
"""What was in the code, not yet in the settings, when files of the first schema were written."""


def write_samples(timing: Timing, attempts: Sequence[Sequence[MeasuredReplicate]], file: Path) -> Path:
    """Return the file, written whole or not at all: the replicates of every attempt, in their order."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.Encoder().encode_lines(list(_lines(timing, attempts))))
    return temporary.replace(file)


def read_samples(file: Path) -> tuple[Timing, list[list[MeasuredReplicate]]]:
    """Return what was timed, and the replicates of each attempt; raises SamplesError."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SamplesError(f"{file}: {error.strerror}") from error
    if not lines:
        raise SamplesError(f"{file}: is empty")
    lines[0] = _as_of_today(lines[0])
    timing, *rest = (_read_line(file, number, line) for number, line in enumerate(lines, 1))
    if not isinstance(timing, Timing):
        raise SamplesError(f"{file}: line 1 does not say what was timed")
    return timing, _gather(file, rest)


def _lines(timing: Timing, attempts: Sequence[Sequence[MeasuredReplicate]]) -> Iterator[Line]:
    yield timing
    for one in itertools.chain.from_iterable(attempts):
        first = one.samples[0]
        yield Processes(
            attempt=first.attempt, replicate=first.replicate, chosen=one.chosen, readings=one.readings
        )
        yield from one.samples


def _as_of_today(head: bytes) -> bytes:
    """Return the first line of a file, with the settings that the first schema left in the code."""
    try:
        said = msgspec.json.decode(head)
    except (ValueError, RecursionError):
        return head  # reading the line says what is wrong with it
    if not isinstance(said, dict) or said.get("schema") != "kernelgate.samples/1":
        return head
    settings = said.get("settings")
    if not isinstance(settings, dict) or "laws" in said or settings.keys() & FIRST_SETTINGS.keys():
        return head
    today = {"schema": "kernelgate.samples/2", "settings": {**settings, **FIRST_SETTINGS}, "laws": FIRST_LAWS}
    return msgspec.json.encode({**said, **today})


def _read_line(file: Path, number: int, line: bytes) -> Line:
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise SamplesError(f"{file}: line {number}: {error}") from error


def _gather(file: Path, lines: Sequence[Line]) -> list[list[MeasuredReplicate]]:
    heads: dict[tuple[int, int], Processes] = {}
    samples: dict[tuple[int, int], list[Sample]] = {}
    for number, line in enumerate(lines, 2):
        if isinstance(line, Timing):
            raise SamplesError(f"{file}: line {number} says again what was timed")
        place = line.attempt, line.replicate
        if isinstance(line, Processes):
            heads[place] = line
        elif place in heads:
            samples.setdefault(place, []).append(line)
        else:
            raise SamplesError(f"{file}: line {number} is of a replicate that no line before it names")
    attempts: dict[int, list[MeasuredReplicate]] = {}
    for place, own in samples.items():
        head = heads[place]
        # The timed answers are judged where they were made: they are not in the file.
        measured = MeasuredReplicate(
            samples=tuple(own), chosen=head.chosen, readings=head.readings, answers=()
        )
        attempts.setdefault(head.attempt, []).append(measured)
    if not attempts:
        raise SamplesError(f"{file}: holds no sample")
    return list(attempts.values())
