"""Two compiles side by side: what spills more, what occupies less, what is the same code."""

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.operations.declaration.kernel_config import KernelConfig


def describe_changes(candidate: CompiledKernel, accepted: CompiledKernel) -> tuple[str, ...]:
    """Return one line for each configuration whose spills grew or whose occupancy fell, with both numbers.

    A configuration that the accepted kernel lacks is held against its best one.
    """
    known = {str(record.config): record for record in accepted.configs if record.launches}
    best = max(known.values(), key=_occupancy, default=None)
    lines: list[str] = []
    for record in candidate.configs:
        before = known.get(str(record.config), best)
        if before is None or not record.launches:
            continue
        if _spills(record) > _spills(before):
            spilled = f"{_spills(record)} bytes a thread, the accepted kernel's {_spills(before)}"
            lines.append(f"{record.config}: spills {spilled}")
        if _occupancy(record) < _occupancy(before):
            resident = f"{_occupancy(record)} warps an SM, the accepted kernel's {_occupancy(before)}"
            lines.append(f"{record.config}: {resident}")
    return tuple(lines)


def describe_twins(compiled: CompiledKernel) -> tuple[str, ...]:
    """Return one line for each configuration that compiles to the same machine code as an earlier one."""
    first: dict[tuple[str, ...], KernelConfig] = {}
    lines = []
    for record in compiled.configs:
        code = tuple(launch.code_sha256 for launch in record.launches)
        if code and code in first:
            lines.append(f"{record.config}: the same machine code as {first[code]}")
        first.setdefault(code, record.config)
    return tuple(lines)


def _occupancy(record: ConfigRecord) -> int:
    return min(launch.warps_per_sm for launch in record.launches)


def _spills(record: ConfigRecord) -> int:
    return sum(launch.spill_store_bytes + launch.spill_load_bytes for launch in record.launches)
