"""What the GPU counted while a kernel ran: the brief's five counters, read by Nsight Compute where it can.

They explain and never decide: beside a profiler a kernel runs in conditions of its own.
"""

import csv
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.timed_plans import different_records, find_plans
from kernelgate.execution.plan_files import plan_file
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.files import read_foreign
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.machine.gpu_lock import shared
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.profile_order import ProfileOrder, encode_profile_order
from kernelgate.sandbox.fork_server import passed_on
from kernelgate.sandbox.process_tree import descendants, kill
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import end_strays

METRICS = (
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "launch__grid_size",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "lts__t_sector_hit_rate.pct",
)
"""By their names in Nsight Compute: percent of the peak, programs, and percent of the sectors asked of L2."""

PROFILER = "ncu"
MAX_LOG_BYTES = 2**20
NOT_ALLOWED = "ERR_NVGPUCTRPERM"


class LaunchCounters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The counters of one launch, by the names of METRICS."""

    kernel: str
    metrics: dict[str, float]


class ConfigCounters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The counters of a configuration: one record a launch, in their order."""

    config: KernelConfig
    launches: tuple[LaunchCounters, ...]


class Counters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read; `missing` says why nothing was, and is empty otherwise."""

    missing: str = ""
    configs: tuple[ConfigCounters, ...] = ()


class _Unread(Exception):  # noqa: N818 - no fault of anybody: counters are read where they can be
    """There are no counters; the text says why."""


def read_counters(
    sandbox: Sandbox, kernel: KernelFile, configs: Sequence[ConfigRecord], gpu: Gpu
) -> Counters:
    """Return the counters of each different program of a kernel file, called once by its launch plans.

    `configs` is what all of its configurations compile to for this GPU, whose clocks are left as they are.
    Where the profiler is missing, may not count, or saw other launches than these, the result says so.
    """
    plans = find_plans(sandbox, kernel)
    records = different_records(configs)
    profiler = shutil.which(PROFILER)
    if profiler is None:
        return Counters(missing=f"not read: {PROFILER} (Nsight Compute) is not installed")
    try:
        with shared(gpu):
            seen = _profile(profiler, sandbox, plans, records)
        return Counters(configs=tuple(_assign(seen, records)))
    except (_Unread, GpuError, OSError) as why:
        return Counters(missing=f"not read: {why}")


def _profile(
    profiler: str, sandbox: Sandbox, plans: Sequence[TimedPlan], records: Sequence[ConfigRecord]
) -> list[LaunchCounters]:
    folder = sandbox.root / f"profile-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    log = folder / "counters.csv"
    order = ProfileOrder(
        operation=sandbox.operation.name,
        batch=sandbox.operation.measured_batch,
        plans=tuple(str(plan_file(each.stored)) for each in plans),
    )
    names = sorted({re.escape(launch.kernel) for record in records for launch in record.launches})
    command = [
        *(profiler, "--clock-control", "none", "--target-processes", "application-only"),
        *("--kernel-name", f"regex:^({'|'.join(names)})$", "--metrics", ",".join(METRICS)),
        *("--csv", "--page", "raw", "--print-units", "base", "--log-file", str(log)),
        *(sys.executable, "-P", "-m", "kernelgate.worker.execute.profiled", encode_profile_order(order)),
    ]
    environment = passed_on() | {
        "LC_ALL": "C",  # or numbers may have a decimal comma
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    try:
        status = _run(
            command, folder, environment, sandbox.limits.load_timeout_s + sandbox.limits.run_timeout_s
        )
        return _read_log(log, status)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str], folder: Path, environment: dict[str, str], timeout_s: float) -> int:
    """Return the exit status; what it printed is dropped, and nothing that it started lives on."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    descriptor = os.pidfd_open(process.pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], timeout_s)
    finally:
        os.close(descriptor)
        # Its number is its own until it is waited for.
        for descendant in descendants(process.pid):
            kill(descendant)
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        end_strays()
    if not ended:
        raise _Unread(f"{PROFILER} did not end in {timeout_s:.0f} s")
    return status


def _read_log(log: Path, status: int) -> list[LaunchCounters]:
    try:
        lines = read_foreign(log, MAX_LOG_BYTES).decode(errors="replace").splitlines()
    except OSError as error:
        raise _Unread(f"{PROFILER} ended with status {status} and left no log: {error.strerror}") from error
    said = [line for line in lines if line.startswith("==ERROR==")]
    if any(NOT_ALLOWED in line for line in said):
        raise _Unread(f"this user may not read the GPU's counters ({NOT_ALLOWED})")
    if said or status:
        raise _Unread(f"{PROFILER} ended with status {status}: {' '.join(said)[:300] or 'a launch failed'}")
    rows = csv.DictReader((line for line in lines if not line.startswith("==")), restval="")
    try:
        return [_read_row(row) for row in rows if row["ID"].isdecimal()]
    except (KeyError, ValueError, csv.Error) as error:
        raise _Unread(f"{PROFILER} wrote what cannot be read: {error!r:.200}") from error


def _read_row(row: dict[str, str]) -> LaunchCounters:
    """Return the counters of a launch; the row of units, which has no ID, is none."""
    metrics = {name: float(row[name].replace(",", "")) for name in METRICS}
    if not all(math.isfinite(value) for value in metrics.values()):
        raise ValueError(f"not every number of {metrics} is finite")
    return LaunchCounters(kernel=row["Kernel Name"], metrics=metrics)


def _assign(seen: Sequence[LaunchCounters], records: Sequence[ConfigRecord]) -> list[ConfigCounters]:
    """Return what was seen by configuration; raises _Unread unless it is what was compiled, in that order.

    The grid may be another: a program for every SM is other programs on a GPU that has other SMs.
    """
    expected = [launch.kernel for record in records for launch in record.launches]
    if [one.kernel for one in seen] != expected:
        raise _Unread(
            f"{PROFILER} saw {len(seen)} launches, other than the {len(expected)} that were compiled"
        )
    left = iter(seen)
    return [
        ConfigCounters(config=record.config, launches=tuple(next(left) for _ in record.launches))
        for record in records
    ]
