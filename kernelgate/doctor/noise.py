"""The command `doctor`: the GPU's fitness, the record's versions, and the noise of a short A/A run."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.kernels import find_accepted
from kernelgate.baselines.store import BaselineError
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import target_at_hand
from kernelgate.doctor.checks import Check, check_gpu, check_record
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu
from kernelgate.machine.gpu_lock import locked
from kernelgate.machine.versions import describe_environment
from kernelgate.operations import find_operation
from kernelgate.performance.decision.log_ratio import measure_slowdown
from kernelgate.performance.replicates import measure_replicates
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.stage import load_record
from kernelgate.performance.validity import find_invalid
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import PerformanceSettings, Settings

STEADY_CLOCKS = 0.01
"""Advice: it decides no verdict, and which clocks do is a setting."""

NO_GPU = "install NVIDIA's driver; nvidia-smi must list the GPU"


def examine(root: Path, settings: Settings) -> Iterator[Check]:
    """Yield one check after the other; the last are of a short run of the accepted kernel against itself."""
    try:
        gpu = find_gpu()
    except GpuError as error:
        yield Check(name="GPU", status="unfit", seen=str(error), advice=NO_GPU)
        return
    checks = list(check_gpu(gpu, settings.limits.gpu_memory_bytes, {os.getpid()}))
    yield from checks
    operation = find_operation(settings.operation)
    accepted = find_accepted(root, operation, None, settings.limits.kernel_file_bytes)
    try:
        record = load_record(RecordFolder(root=root, name=operation.name), gpu, accepted.sha256)
        yield check_record(record, describe_environment(gpu.driver))
    except BaselineError as error:
        # No fault of the machine's: after a new kernel was merged the record is stale until one is accepted.
        yield Check(name="baseline", status="look", seen=str(error), advice="renew it: accept-baseline")
    if any(check.status == "unfit" for check in checks):
        advice = "mend the above first"
        yield Check(name="A/A run", status="unfit", seen="not tried", advice=advice)
        return
    yield from _check_noise(gpu, accepted, settings)


def _check_noise(gpu: Gpu, accepted: KernelFile, settings: Settings) -> Iterator[Check]:
    sandbox = Sandbox(find_operation(settings.operation), settings.limits)
    try:
        compile_kernels(sandbox, {accepted: [target_at_hand(gpu.capability, None)]})
        looks = settings.performance.looks[:1]
        short = msgspec.structs.replace(settings.performance, looks=looks)
        arms: dict[str, KernelFile | None] = dict.fromkeys(
            (Arm.CANDIDATE, Arm.ACCEPTED, Arm.CONTROL), accepted
        )
        with locked(gpu):
            measured = measure_replicates(sandbox, arms, gpu, short, lambda _: True, lambda one: one)
    except GpuError as error:
        yield Check(name="A/A run", status="unfit", seen=str(error), advice="end the other judge, or wait")
        return
    finally:
        sandbox.close()
    if invalid := find_invalid(sandbox.operation, measured, gpu, short):
        seen = f"{invalid.reason}: {invalid.detail}"
        yield Check(name="A/A run", status="unfit", seen=seen, advice=invalid.next_step)
    else:
        yield _judge_noise(measured, short)
    yield _judge_clocks(measured)


def _judge_noise(measured: Sequence[MeasuredReplicate], settings: PerformanceSettings) -> Check:
    replicates = [one.replicate() for one in measured]
    contrast = measure_slowdown(
        replicates, Arm.CANDIDATE, Arm.ACCEPTED, settings.confidence, settings.trimmed_share
    )
    ends = f"[{100 * contrast.gain_low:z.2f}, {100 * contrast.gain_high:z.2f}]"
    blocks = float(
        np.mean([np.std(each.contrasts(Arm.CANDIDATE, Arm.ACCEPTED), ddof=1) for each in replicates])
    )
    process_sd = contrast.standard_error * math.sqrt(len(replicates))
    seen = (
        f"gain {100 * contrast.gain:z.2f} % {ends}, "
        f"processes vary by {100 * process_sd:.2f} %, blocks by {100 * blocks:.2f} %"
    )
    off = abs(contrast.estimate) > settings.max_control_offset
    wide = contrast.half_width > settings.max_half_width
    if not off and not wide:
        return Check(name="A/A run", status="ok", seen=seen)
    advice = "quiet the machine: other jobs, clocks, heat; then run this again"
    return Check(name="A/A run", status="unfit" if off else "look", seen=seen, advice=advice)


def _judge_clocks(measured: Sequence[MeasuredReplicate]) -> Check:
    readings = (reading.health.sm_clock_mhz for one in measured for reading in one.readings)
    clocks = [clock for clock in readings if clock is not None]
    if not clocks:
        return Check(name="clock under load", status="unknown", seen="NVML does not say")
    seen = f"{min(clocks)} to {max(clocks)} MHz"
    if max(clocks) <= (1 + STEADY_CLOCKS) * min(clocks):
        return Check(name="clock under load", status="ok", seen=seen)
    advice = "lock a clock that the GPU can hold: nvidia-smi -lgc MHZ,MHZ, at every start of the machine"
    return Check(name="clock under load", status="look", seen=seen, advice=advice)


def render(check: Check) -> str:
    """Return what was looked at and seen, and below it what to do."""
    line = f"  {check.status:8}{check.name:18}{check.seen}"
    if check.advice and check.status not in ("ok", "unknown"):
        return f"{line}\n  {'':26}-> {check.advice}"
    return line


def answer(checks: Sequence[Check]) -> str:
    """Return the answer in a sentence."""
    unfit = [check.name for check in checks if check.status == "unfit"]
    if unfit:
        return f"This machine is not fit to judge 1 %: {', '.join(unfit)}."
    doubtful = [check.name for check in checks if check.status == "look"]
    return "This machine is fit to judge 1 %." + (f" Look at: {', '.join(doubtful)}." if doubtful else "")
