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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
from kernelgate.profile_order import GO, ProfileOrder, encode_profile_order
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
PROFILED = "kernelgate.worker.execute.profiled"
"""The module that the profiler starts."""

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
    """Return what `profiler_ready` gives, at once."""
    with profiler_ready(sandbox, kernel, configs, gpu) as read:
        return read()


@contextmanager
def profiler_ready(
    sandbox: Sandbox, kernel: KernelFile, configs: Sequence[ConfigRecord], gpu: Gpu
) -> Iterator[Callable[[], Counters]]:
    """Start the profiler, which takes seconds, and give what has it count: no GPU is touched before that.

    What it gives are the counters of each different program of the file, called once by its launch plans.
    `configs` is what all of its configurations compile to for this GPU, whose clocks are left as they are.
    Where the profiler is missing, may not count, or saw other launches than these, the result says so.
    """
    plans = find_plans(sandbox, kernel)
    records = different_records(configs)
    path = shutil.which(PROFILER)
    if path is None:
        yield lambda: Counters(missing=f"not read: {PROFILER} (Nsight Compute) is not installed")
        return
    try:
        profiler = _Profiler(path, sandbox, plans, records)
    except OSError as why:
        said = f"not read: {why}"
        yield lambda: Counters(missing=said)
        return

    def read() -> Counters:
        try:
            with shared(gpu):
                seen = profiler.count()
            return Counters(configs=tuple(_assign(seen, records)))
        except (_Unread, GpuError, OSError) as why:
            return Counters(missing=f"not read: {why}")

    try:
        yield read
    finally:
        profiler.end()


class _Profiler:
    """Nsight Compute on a process that waits to be told that it may call the plans."""

    def __init__(
        self, path: str, sandbox: Sandbox, plans: Sequence[TimedPlan], records: Sequence[ConfigRecord]
    ) -> None:
        self.folder = sandbox.root / f"profile-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir()
        self.log = self.folder / "counters.csv"
        self.timeout_s = sandbox.limits.load_timeout_s + sandbox.limits.run_timeout_s
        order = ProfileOrder(
            operation=sandbox.operation.name,
            batch=sandbox.operation.measured_batch,
            plans=tuple(str(plan_file(each.stored)) for each in plans),
        )
        command = [path, *self._options(records), sys.executable, "-P", "-m", PROFILED]
        command.append(encode_profile_order(order))
        environment = passed_on() | {
            "LC_ALL": "C",  # or numbers may have a decimal comma
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
        }
        told, self._tell = os.pipe()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=told,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError:
            os.close(self._tell)
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        finally:
            os.close(told)

    def _options(self, records: Sequence[ConfigRecord]) -> list[str]:
        names = sorted({re.escape(launch.kernel) for record in records for launch in record.launches})
        return [
            *("--clock-control", "none", "--target-processes", "application-only"),
            *("--kernel-name", f"regex:^({'|'.join(names)})$", "--metrics", ",".join(METRICS)),
            *("--csv", "--page", "raw", "--print-units", "base", "--log-file", str(self.log)),
        ]

    def count(self) -> list[LaunchCounters]:
        """Return the counters of each launch; raises _Unread, or OSError."""
        with suppress(BrokenPipeError):  # it has ended by itself, and its log says why
            os.write(self._tell, GO)
        descriptor = os.pidfd_open(self._process.pid)
        try:
            ended, _, _ = select.select([descriptor], [], [], self.timeout_s)
        finally:
            os.close(descriptor)
            status = self._kill()
        if not ended:
            raise _Unread(f"{PROFILER} did not end in {self.timeout_s:.0f} s")
        return _read_log(self.log, status)

    def end(self) -> None:
        """End it, if it was never told to count, and remove its folder; what it printed is dropped."""
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self) -> int:
        """Return how it ended; nothing that it started lives on."""
        if self._process.returncode is None:
            os.close(self._tell)
            # Its number is its own until it is waited for.
            for descendant in descendants(self._process.pid):
                kill(descendant)
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            end_strays()
        return self._process.returncode


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
