"""Compiling every configuration of a kernel file, with no GPU, and comparing two such compiles."""

import hashlib
import os
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.contestant import Contestant, ContestantFault
from kernelgate.declared_math import find_narrow, read_products
from kernelgate.foreign_file import read_foreign
from kernelgate.launches import ConfigRecord, LaunchRecord
from kernelgate.machine_code import CubinError, hash_machine_code, read_assembler_log
from kernelgate.occupancy import resident_blocks
from kernelgate.operations import KernelConfig
from kernelgate.workplace import Workplace

MAX_CUBIN_BYTES = 64 * 2**20
MAX_WORKERS = 9


Launched = tuple[str, tuple[int, int, int], str]
"""One launch: the digest of its machine code, its grid, the digest of its arguments."""


class TooManyConfigsError(ValueError):
    """The file has more configurations than the gate will compile."""


class CompiledKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel file compiled for one target: one record a configuration, in the order of the file."""

    target: str
    kernel_sha256: str
    configs: tuple[ConfigRecord, ...]

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

    With a `card` the PTX is that for `capability`, assembled for a GPU of this one.
    """

    capability: int
    batches: tuple[int, ...] = ()
    card: int | None = None

    def __str__(self) -> str:
        assembled = "" if self.card is None else f" on sm_{self.card}"
        return f"sm_{self.capability}{assembled}"


Task = tuple[Target, int, list[int]]
"""Target, batch, and the pins to compile for them."""


def compile_kernels(
    workplace: Workplace, kernels: Mapping[KernelFile, Sequence[Target]]
) -> dict[KernelFile, list[CompiledKernel]]:
    """Return each kernel file compiled for each of its targets, all side by side over the processor's cores.

    Raises ContestantFault if a file fails, TooManyConfigsError if one has too many configurations.
    """
    workers = max(1, (os.cpu_count() or 1) // len(kernels))
    with ThreadPoolExecutor(len(kernels)) as pool:
        compiles = {
            kernel: pool.submit(compile_kernel, workplace, kernel, targets, workers)
            for kernel, targets in kernels.items()
        }
        return {kernel: compiled.result() for kernel, compiled in compiles.items()}


def compile_kernel(
    workplace: Workplace, kernel: KernelFile, targets: Sequence[Target], workers: int
) -> list[CompiledKernel]:
    """Return every configuration of the file at the measured batch, for each target."""
    crew = [workplace.start("compile", kernel, kernel.sha256) for _ in range(min(workers, MAX_WORKERS))]
    try:
        loaded, *_ = [workplace.await_loaded(contestant) for contestant in crew]
        pins = max((len(tuned.configs) for tuned in loaded.autotuned), default=1)
        if pins > workplace.limits.open_configs:
            raise TooManyConfigsError(
                f"{kernel.path}: {pins} configurations, allowed {workplace.limits.open_configs}"
            )
        answers = _compile_pins(workplace, crew, _group_pins(loaded), targets)
        measured = workplace.operation.measured_batch
        return [
            _gather(kernel, loaded, target, [answers[target, measured, pin] for pin in range(pins)])
            for target in targets
        ]
    except CubinError as error:
        detail = f"sent what is no compiled kernel: {error}"
        raise ContestantFault("protocol", detail, kernel.sha256) from error
    finally:
        for contestant in crew:
            contestant.close()


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
            lines.append(f"{record.config}: spills {_spills(before)} -> {_spills(record)} bytes a thread")
        if _occupancy(record) < _occupancy(before):
            lines.append(f"{record.config}: warps an SM {_occupancy(before)} -> {_occupancy(record)}")
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


def _group_pins(loaded: wire.Loaded) -> list[list[int]]:
    """Return the pins in groups that may be one program, which one process then compiles once."""
    groups: dict[str, list[int]] = {}
    for pin, config in enumerate(_named_configs(loaded)):
        groups.setdefault(str(msgspec.structs.replace(config, num_stages=0)), []).append(pin)
    return list(groups.values()) or [[0]]


def _compile_pins(
    workplace: Workplace, crew: Sequence[Contestant], groups: Sequence[list[int]], targets: Sequence[Target]
) -> dict[tuple[Target, int, int], wire.Compiled]:
    """Return the answers by target, batch and pin; each contestant takes the next group that waits."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for target in targets:
        for batch in (workplace.operation.measured_batch, *target.batches):
            for group in reversed(groups):  # the largest blocks, which compile longest, tend to come last
                waiting.put((target, batch, group))
    answers: dict[tuple[Target, int, int], wire.Compiled] = {}

    def work(contestant: Contestant) -> None:
        while (task := _take(waiting)) is not None:
            target, batch, group = task
            for pin in group:
                request = wire.CompileOne(
                    batch=batch, pin=pin, capability=target.capability, card=target.card
                )
                try:
                    answers[target, batch, pin] = contestant.ask(
                        request, wire.Compiled, workplace.limits.run_timeout_s
                    )
                except BaseException:
                    while _take(waiting):
                        pass  # one fault decides: the others need not go on
                    raise

    with ThreadPoolExecutor(len(crew)) as pool:
        for done in [pool.submit(work, contestant) for contestant in crew]:
            done.result()
    return answers


def _take(waiting: "queue.SimpleQueue[Task]") -> Task | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _gather(
    kernel: KernelFile, loaded: wire.Loaded, target: Target, answers: Sequence[wire.Compiled]
) -> CompiledKernel:
    configs = _named_configs(loaded) or (_untuned_config(answers[0]),)
    return CompiledKernel(
        target=str(target),
        kernel_sha256=kernel.sha256,
        configs=tuple(
            _record(config, answer, target) for config, answer in zip(configs, answers, strict=True)
        ),
    )


def _named_configs(loaded: wire.Loaded) -> tuple[KernelConfig, ...]:
    """Return the configurations that name the pins: those of the autotuned kernel that has the most."""
    return max(loaded.autotuned, key=lambda tuned: len(tuned.configs)).configs if loaded.autotuned else ()


def _untuned_config(answer: wire.Compiled) -> KernelConfig:
    """Return what the launch of a kernel without an autotuner amounts to."""
    launch = next(iter(answer.launches), None)
    warps, stages = (launch.num_warps, launch.num_stages) if launch else (4, 1)
    return KernelConfig(blocks={}, num_warps=warps, num_stages=stages)


def _record(config: KernelConfig, answer: wire.Compiled, target: Target) -> ConfigRecord:
    capability = target.card or target.capability
    launches = tuple(_measure(launch, capability) for launch in answer.launches)
    error = "" if launches else answer.refused or "launches no Triton kernel"
    return ConfigRecord(config=config, launches=launches, error=error)


def _measure(launch: wire.RecordedLaunch, capability: int) -> LaunchRecord:
    report = read_assembler_log(launch.ptxas_log)
    ptx = _read_binary(launch.ptx_file).decode(errors="replace")
    blocks = resident_blocks(
        capability, registers=report.registers, shared_bytes=launch.shared_bytes, num_warps=launch.num_warps
    )
    return LaunchRecord(
        kernel=launch.kernel,
        grid=launch.grid,
        arguments_sha256=hashlib.sha256("\n".join(launch.arguments).encode()).hexdigest(),
        code_sha256=hash_machine_code(_read_binary(launch.cubin_file)),
        registers=report.registers,
        stack_bytes=report.stack_bytes,
        spill_store_bytes=report.spill_store_bytes,
        spill_load_bytes=report.spill_load_bytes,
        shared_bytes=launch.shared_bytes,
        blocks_per_sm=blocks,
        warps_per_sm=blocks * launch.num_warps,
        products=read_products(ptx),
        narrow=find_narrow(ptx, _read_binary(launch.ttir_file).decode(errors="replace")),
    )


def _read_binary(name: str) -> bytes:
    """Return the bytes of a file that a contestant wrote."""
    file = Path(name)
    try:
        return read_foreign(file, MAX_CUBIN_BYTES)
    except OSError as error:
        raise CubinError(f"{file.name}: {error.strerror}") from error
