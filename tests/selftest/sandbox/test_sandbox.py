"""The judge's scratch folder."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate import protocol
from kernelgate.execution.plan_files import StoredPlan, plan_file
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox import sandbox as sandbox_module
from kernelgate.sandbox import scratch
from kernelgate.sandbox.confinement import Confinement, NoSandboxError
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.scratch import PREFIX
from kernelgate.settings import Limits, load_settings
from tests.selftest.support.made_up_plans import make_plan

LIMITS = load_settings(Path(__file__).parents[3] / "pyproject.toml").limits
SOURCE = "# a kernel\r\n"
KERNEL = KernelFile(path="k.py", sha256=hashlib.sha256(SOURCE.encode()).hexdigest(), source=SOURCE)


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr(scratch, "roomy_folder", lambda: tmp_path)
    place = Sandbox(ALEXNET_CONV1, LIMITS)
    yield place
    place.close()
    assert not place.root.exists()


def test_a_copy_that_was_tampered_with_is_restored(sandbox: Sandbox) -> None:
    """Byte for byte, before the next worker reads it."""
    file = sandbox.place(KERNEL)
    assert file.read_bytes() == SOURCE.encode()
    file.unlink()
    file.write_text("# another kernel")
    assert sandbox.place(KERNEL).read_bytes() == SOURCE.encode()


def test_who_is_reading_a_copy_is_not_disturbed(sandbox: Sandbox) -> None:
    """The file is exchanged whole: the reader keeps the old one, and its name is never gone."""
    file = sandbox.place(KERNEL)
    with file.open("rb") as reader:
        before = os.fstat(reader.fileno()).st_ino
        assert sandbox.place(KERNEL) == file
        assert file.stat().st_ino != before
        assert reader.read() == SOURCE.encode()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert {path.name for path in sandbox.root.iterdir()} == {file.parent.name, sandbox.plans.name}


def test_no_two_kernel_files_share_a_cache_of_compiled_programs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One could poison it for the other; what runs launch plans has its own."""
    caches: list[Path] = []

    def start(_mode: str, _folder: Path, _limits: Limits, cache: Path, *_: object) -> SimpleNamespace:
        caches.append(cache)
        return SimpleNamespace(send=lambda _request: None)

    monkeypatch.setattr(sandbox_module, "Worker", start)
    other = KernelFile(path=KERNEL.path, sha256="0" * 64, source="# another kernel")
    sandbox.start("record", KERNEL)
    sandbox.start("use", KERNEL)
    assert len(set(caches)) == 1
    sandbox.start("record", other)
    sandbox.start_executor("interpret")
    sandbox.start_arm(None)
    assert len(set(caches)) == 4
    assert all(sandbox.root in cache.parents for cache in caches)


def test_what_runs_launch_plans_is_told_of_no_kernel_file(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may read the plans that the judge keeps, and nothing else; the vendor's arm has none to time."""
    started: list[tuple[str, list[Path]]] = []
    sent: list[protocol.LoadPlans] = []

    def start(mode: str, *rest: Any) -> SimpleNamespace:
        started.append((mode, rest[-1]))
        return SimpleNamespace(send=sent.append)

    monkeypatch.setattr(sandbox_module, "Worker", start)
    stored = StoredPlan(plan=make_plan(), sha256="b" * 64, contents=sandbox.plans)
    sandbox.start_executor("interpret")
    sandbox.start_arm(None)
    sandbox.start_arm([TimedPlan(stored=stored, prepared=(1,))])
    assert started == [(mode, [sandbox.plans]) for mode in ("interpret", "execute", "execute")]
    planned = protocol.PlannedCall(plan=str(plan_file(stored)), prepared=(1,))
    assert [request.timed for request in sent] == [None, None, (planned,)]


def test_what_a_killed_judge_left_is_swept_and_a_living_one_keeps_its_own(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """By the process id in the folder's name."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead, alive = tmp_path / f"{PREFIX}{int(ended.stdout)}-x", tmp_path / f"{PREFIX}{os.getppid()}-x"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "x.f32").write_bytes(b"left")
    Sandbox(ALEXNET_CONV1, LIMITS).close()
    assert not dead.exists()
    assert alive.exists()
    assert sandbox.root.exists()


def test_where_nothing_confines_workers_there_is_no_sandbox_if_one_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a folder of it: every command that starts workers passes here."""
    monkeypatch.setattr(scratch, "roomy_folder", lambda: tmp_path)
    monkeypatch.setattr(sandbox_module, "find_confinement", lambda: Confinement(landlock=0, seccomp=True))
    with pytest.raises(NoSandboxError, match="no Landlock"):
        Sandbox(ALEXNET_CONV1, msgspec.structs.replace(LIMITS, require_sandbox="always"))
    assert list(tmp_path.iterdir()) == []
    Sandbox(ALEXNET_CONV1, msgspec.structs.replace(LIMITS, require_sandbox="never")).close()
