"""The compile record before and after: a row for each program of each configuration."""

from collections.abc import Iterator, Sequence

import msgspec

from kernelgate.baselines.compiled import ConfigRecord, LaunchRecord
from kernelgate.compilation.stage import CompileResult

COLUMNS = ("registers a thread", "spilled bytes", "shared bytes a block", "blocks an SM", "warps an SM")
NONE = "-"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of the accepted kernel and of the candidate; None where that kernel has no such program."""

    before: int | None
    after: int | None

    def __str__(self) -> str:
        known = [each for each in (self.before, self.after) if each is not None]
        return " → ".join(map(str, dict.fromkeys(known)))


class ProgramRow(msgspec.Struct, frozen=True, kw_only=True):
    """One program: which kernels have it, and what it uses, in the order of COLUMNS.

    `error` says why a configuration compiles to no program, and is empty for one.
    """

    kernel: str
    configuration: str
    program: str = ""
    figures: tuple[Change, ...] = ()
    products: str = ""
    error: str = ""


def compare_programs(result: CompileResult) -> list[ProgramRow]:
    """Return the candidate's configurations beside the accepted kernel's own, then what only that has."""
    held_against = result.accepted.configs if result.accepted else ()
    accepted = {str(record.config): record for record in held_against}
    rows: list[ProgramRow] = []
    for record in result.candidate.configs:
        rows += _compare(accepted.pop(str(record.config), None), record)
    for record in accepted.values():
        rows += _compare(record, None)
    return rows


def _compare(before: ConfigRecord | None, after: ConfigRecord | None) -> Iterator[ProgramRow]:
    old, new = _programs(before), _programs(after)
    if before and after and len(old) == len(new) > 0:
        yield from (_row("both", str(after.config), *pair) for pair in zip(old, new, strict=True))
        return
    if after is not None:
        yield from _refuse("candidate", after)
        yield from (_row("candidate", str(after.config), None, program) for program in new)
    if before is not None:
        yield from _refuse("accepted", before)
        yield from (_row("accepted", str(before.config), program, None) for program in old)


def _refuse(kernel: str, record: ConfigRecord) -> Iterator[ProgramRow]:
    if record.error:
        yield ProgramRow(kernel=kernel, configuration=str(record.config), error=record.error)


def _programs(record: ConfigRecord | None) -> Sequence[LaunchRecord]:
    """Return what is launched, each program once."""
    launches = record.launches if record else ()
    return tuple({launch.code_sha256: launch for launch in launches}.values())


def _row(kernel: str, config: str, before: LaunchRecord | None, after: LaunchRecord | None) -> ProgramRow:
    shown = after or before
    assert shown is not None
    pairs = zip(_use(before), _use(after), strict=True)
    return ProgramRow(
        kernel=kernel,
        configuration=config,
        program=shown.kernel,
        figures=tuple(Change(before=old, after=new) for old, new in pairs),
        products="/".join(shown.products) or NONE,
    )


def _use(launch: LaunchRecord | None) -> tuple[int | None, ...]:
    if launch is None:
        return (None,) * len(COLUMNS)
    spilled = launch.spill_store_bytes + launch.spill_load_bytes
    return launch.registers, spilled, launch.shared_bytes, launch.blocks_per_sm, launch.warps_per_sm
