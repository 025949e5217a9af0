"""The GPU's counters are read where a profiler is, and where none is the report says so and goes on."""

import os
import stat
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import psutil
import pytest
import torch

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.plan_files import StoredPlan, plan_file
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.performance.explanation import hardware_counters as counters
from kernelgate.performance.explanation.hardware_counters import METRICS, Counters, profiler_ready
from kernelgate.profile_order import ProfileOrder, decode_profile_order
from kernelgate.reporting.counters import render_counters
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import load_settings
from kernelgate.worker.execute import profiled, programs, steps
from kernelgate.worker.fake_cuda.tensors import PretendedGpu
from tests.selftest.support.left_running import nothing_left_running
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.made_up_plans import BATCH, COMPUTE, make_plan, with_step, write_plan
from tests.selftest.support.recorders import as_kernel_file
from tests.selftest.support.small_kernels import TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[4]
LIMITS = msgspec.structs.replace(
    load_settings(ROOT / "pyproject.toml").limits, load_timeout_s=1.0, run_timeout_s=1.0
)
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=1024)
CONFIG = KernelConfig(blocks={"BLOCK": 1024}, num_warps=4, num_stages=1)
FILL, SHIFT = make_launch(kernel="fill", grid=(48400, 1, 1)), make_launch(kernel="shift", grid=(100, 3, 2))
RUNS = ConfigRecord(config=CONFIG, launches=(FILL, SHIFT), error="", plan_sha256="a" * 64)
REFUSED = ConfigRecord(config=msgspec.structs.replace(CONFIG, num_warps=8), launches=(), error="refused")
TWIN = msgspec.structs.replace(RUNS, config=msgspec.structs.replace(CONFIG, num_stages=2))
STORED = StoredPlan(plan=make_plan(), sha256="b" * 64, contents=Path("/nowhere"))
HEADER = '"ID","Process ID","Kernel Name","Block Size",' + ",".join(f'"{name}"' for name in METRICS)
UNITS = '"","","","","%","","%","%","%"'
ROWS = (
    '"0","123","fill","(128, 1, 1)","49.01","48,400","19.30","5.10","76.20"',
    '"1","123","shift","(128, 1, 1)","64.79","600","33.05","26.97","93.40"',
)
LOG = "\n".join(("==PROF== Connected to process 123", HEADER, UNITS, *ROWS, "==PROF== Disconnected"))

Profiler = Callable[[str], Path]


@pytest.fixture
def profiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profiler:
    """Give a function that puts a program called ncu on the path; it knows its `log` and `command`."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def install(body: str) -> Path:
        file = tmp_path / "ncu"
        head = f"""#!{sys.executable}
import os, pathlib, subprocess, sys, time
log = pathlib.Path(sys.argv[sys.argv.index("--log-file") + 1])
command = sys.argv[sys.argv.index("--log-file") + 2:]
"""
        file.write_text(head + textwrap.dedent(body), encoding="utf-8")
        file.chmod(stat.S_IRWXU)
        return file

    return install


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Take note of when the GPU is held."""
    holds: list[str] = []

    @contextmanager
    def shared(gpu: Gpu) -> Iterator[None]:
        holds.append(gpu.uuid)
        yield

    monkeypatch.setattr(counters, "shared", shared)
    return holds


Ready = Callable[[], AbstractContextManager[Callable[[], Counters]]]


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Ready]:
    """Give what starts the profiler on a file: one configuration fails, two do the same."""
    sandbox = Sandbox(ALEXNET_CONV1, LIMITS)
    kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
    sandbox.timed_plans[kernel.sha256] = (TimedPlan(stored=STORED),)
    with nothing_left_running():
        yield lambda: profiler_ready(sandbox, kernel, [REFUSED, RUNS, TWIN], GPU)
        assert not list(sandbox.root.glob("profile-*"))
        sandbox.close()


@pytest.fixture
def read(ready: Ready) -> Callable[[], Counters]:
    """Give a function that reads the counters at once."""

    def read_at_once() -> Counters:
        with ready() as count:
            return count()

    return read_at_once


def test_the_counters_of_each_launch_are_read(
    profiler: Profiler, read: Callable[[], Counters], held: list[str]
) -> None:
    """By the names that Nsight Compute has for them, once for the configurations that do the same."""
    profiler(f"log.write_text({LOG!r})")
    found = read()
    assert found.missing == ""
    ((config, (fill, shift)),) = ((each.config, each.launches) for each in found.configs)
    assert (config, fill.kernel, shift.kernel) == (CONFIG, "fill", "shift")
    assert list(fill.metrics.values()) == [49.01, 48400, 19.3, 5.1, 76.2]
    assert shift.metrics["sm__warps_active.avg.pct_of_peak_sustained_active"] == 33.05
    assert held == [GPU.uuid]


def test_a_kernel_may_launch_as_many_programs_as_the_gpu_has_sms(
    profiler: Profiler, read: Callable[[], Counters]
) -> None:
    """Which are others than the compile stage's pretended GPU has; what was counted is what ran."""
    profiler(f"log.write_text({LOG.replace('48,400', '132')!r})")
    found = read()
    assert found.missing == ""
    assert found.configs[0].launches[0].metrics["launch__grid_size"] == 132


def test_the_profiler_is_asked_for_the_plans_and_leaves_the_clocks_alone(
    profiler: Profiler, read: Callable[[], Counters], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment without the judge's secrets."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    seen = tmp_path / "seen.json"
    profiler(f"import json; pathlib.Path({str(seen)!r}).write_text(json.dumps([sys.argv, dict(os.environ)]))")
    assert "left no log" in read().missing
    arguments, environment = msgspec.json.decode(seen.read_bytes())
    assert arguments[arguments.index("--clock-control") + 1] == "none"
    assert arguments[arguments.index("--metrics") + 1] == ",".join(METRICS)
    assert arguments[arguments.index("--kernel-name") + 1] == "regex:^(fill|shift)$"
    assert arguments[-5:-1] == [sys.executable, "-P", "-m", "kernelgate.worker.execute.profiled"]
    order = decode_profile_order(arguments[-1])
    assert (order.operation, order.batch) == (ALEXNET_CONV1.name, ALEXNET_CONV1.measured_batch)
    assert order.plans == (str(plan_file(STORED)),)
    assert "GITHUB_TOKEN" not in environment
    assert Path(environment["HOME"]).name.startswith("profile-")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "log.write_text('==ERROR== ERR_NVGPUCTRPERM - The user does not have permission'); sys.exit(1)",
            "may not read",
        ),
        (
            "log.write_text('==ERROR== Failed to initialize the profiler: LibraryNotLoaded')",
            "LibraryNotLoaded",
        ),
        ("log.write_text('==PROF== Connected'); sys.exit(9)", "status 9: a launch failed"),
        ("log.write_text('==WARNING== No kernels were profiled.')", "saw 0 launches, other than the 2"),
        (f"log.write_text({LOG.replace(ROWS[1], '')!r})", "saw 1 launches"),
        (f"log.write_text({LOG.replace('shift', 'drift')!r})", "saw 2 launches, other"),
        (f"log.write_text({LOG.replace('76.20', 'n/a')!r})", "cannot be read"),
        (f"log.write_text({LOG.replace('76.20', 'nan')!r})", "cannot be read"),
        (f"log.write_text({LOG.replace('lts__', 'l2__')!r})", "cannot be read"),
        (f"log.write_text({LOG[:-40]!r})", "cannot be read"),
        ("log.write_text('1,2')", "saw 0 launches"),
        ("log.symlink_to('/dev/zero')", "left no log"),
        ("log.write_bytes(bytes(2**21))", "left no log"),
        ("time.sleep(60)", "did not end in 2 s"),
        ("subprocess.Popen(['sleep', '60']); time.sleep(60)", "did not end in 2 s"),
        ("subprocess.Popen(['sleep', '60'])", "left no log"),
        ("subprocess.Popen(['sleep', '60'], start_new_session=True)", "left no log"),
    ],
)
def test_where_nothing_was_counted_the_result_says_why(
    profiler: Profiler, read: Callable[[], Counters], body: str, says: str
) -> None:
    """In bounded time, and nothing that was started lives on."""
    profiler(body)
    began = time.monotonic()
    found = read()
    assert found.missing.startswith("not read: ")
    assert says in found.missing
    assert not found.configs
    assert time.monotonic() - began < 20


def test_what_flees_to_its_own_session_while_it_runs_is_ended(
    profiler: Profiler, read: Callable[[], Counters]
) -> None:
    """Whatever the profiler starts."""
    profiler("print(subprocess.Popen(['sleep', '61'], start_new_session=True).pid); time.sleep(60)")
    assert "did not end" in read().missing
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61"]]


def test_the_profiler_is_started_at_once_and_told_when_to_begin(
    profiler: Profiler, ready: Ready, tmp_path: Path, held: list[str]
) -> None:
    """It takes seconds to be ready; until it is told, the GPU is not held for it."""
    began = tmp_path / "began"
    profiler(
        f"pathlib.Path({str(began)!r}).touch()\nif sys.stdin.readline() == 'go\\n': log.write_text({LOG!r})"
    )
    with ready() as read:
        until = time.monotonic() + 20
        while not began.exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert began.exists()
        assert not held
        assert read().missing == ""
        assert held == [GPU.uuid]


def test_one_that_is_never_told_is_ended(profiler: Profiler, ready: Ready) -> None:
    """And its folder is gone, as the fixture sees."""
    profiler("sys.stdin.readline(); time.sleep(60)")
    began = time.monotonic()
    with ready():
        pass
    assert time.monotonic() - began < 10


def test_without_a_profiler_nothing_is_started(
    read: Callable[[], Counters], monkeypatch: pytest.MonkeyPatch, held: list[str]
) -> None:
    """The GPU is not waited for either."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert read() == Counters(missing="not read: ncu (Nsight Compute) is not installed")
    assert not held


def test_a_gpu_that_is_not_to_be_had_is_a_reason(
    profiler: Profiler, read: Callable[[], Counters], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict stands already."""

    def refuse(_gpu: Gpu) -> Any:
        raise GpuError("another judge has held it for 300 s")

    profiler("")
    monkeypatch.setattr(counters, "shared", refuse)
    assert read().missing == "not read: another judge has held it for 300 s"


def test_a_profiler_that_cannot_be_started_is_a_reason(
    profiler: Profiler, read: Callable[[], Counters]
) -> None:
    """As one that is not installed."""
    profiler("").write_text("no program")
    assert "Exec format error" in read().missing


def test_the_program_that_is_profiled_makes_one_call_of_each_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order asked for, and nothing else."""
    grids: list[tuple[int, int, int]] = []

    def note(_program: object, launch: Launch, *_: object) -> None:
        grids.append(launch.grid)

    monkeypatch.setattr(programs, "load_program", lambda *_: object())
    monkeypatch.setattr(programs, "unload_program", lambda _program: None)
    monkeypatch.setattr(steps, "launch_program", note)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    small, large = (write_plan_of(grid, tmp_path) for grid in (7, 9))
    order = ProfileOrder(operation=ALEXNET_CONV1.name, batch=BATCH, plans=(large, small, large))
    with PretendedGpu():
        profiled.call_each(order)
    assert [grid[0] for grid in grids] == [9, 7, 9]


def write_plan_of(grid: int, folder: Path) -> str:
    """Return the file of a plan that launches so many programs."""
    own = folder / str(grid)
    own.mkdir()
    return str(write_plan(with_step(make_plan(), COMPUTE, grid=(grid, 1, 1)), own))


def test_the_page_has_a_row_a_launch_or_the_reason(profiler: Profiler, read: Callable[[], Counters]) -> None:
    """And nothing at all where no timing was asked for."""
    profiler(f"log.write_text({LOG!r})")
    page = "\n".join(render_counters(read(), "NVIDIA Test"))
    assert "## What NVIDIA Test counted" in page
    assert f"| {CONFIG} | fill | 49.0 | 48400 | 19.3 | 5.1 | 76.2 |" in page
    assert "| shift | 64.8 | 600 | 33.0 | 27.0 | 93.4 |" in page
    missing = list(render_counters(Counters(missing="not read: no"), "NVIDIA Test"))
    assert missing == ["## What NVIDIA Test counted", "not read: no."]
    assert not list(render_counters(None, None))
