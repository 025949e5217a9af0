"""What candidates are held against is compiled once a process; each judgement gets its plans anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.kernels import Kernels
from kernelgate.compilation import compiled_before
from kernelgate.compilation import stage as compile_stage
from kernelgate.compilation.compiled_before import MOST, CompiledBefore
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.execution.plan_files import keep_plan, plan_file, read_plan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import load_settings
from tests.selftest.support.made_up_plans import make_plan, write_plan

LIMITS = load_settings(Path(__file__).resolve().parents[3] / "pyproject.toml").limits
HERE = (Target(capability=89), Target(capability=90, is_timed=True))


def make_kernel(name: str) -> KernelFile:
    return KernelFile(path=f"{name}.py", sha256=name * 64, source=f"# {name}")


ACCEPTED, ORIGINAL, CANDIDATE = (make_kernel(name) for name in "abc")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CompiledBefore:
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(compiled_before, "make_scratch", lambda: folder)
    return CompiledBefore()


@pytest.fixture
def open_sandbox() -> Iterator[Any]:
    opened: list[Sandbox] = []

    def open_one() -> Sandbox:
        opened.append(Sandbox(ALEXNET_CONV1, LIMITS))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def compile_in(sandbox: Sandbox, kernel: KernelFile) -> list[CompiledKernel]:
    """Leave a plan of the file in the sandbox, as a compile does."""
    sent = sandbox.root / "sent"
    sent.mkdir(exist_ok=True)
    stored = keep_plan(read_plan(write_plan(make_plan(), sent), ALEXNET_CONV1), sandbox.plans)
    sandbox.timed_plans[kernel.sha256] = (TimedPlan(stored=stored, prepared=(1,)),)
    return [CompiledKernel(target="sm_89", kernel_sha256=kernel.sha256, configs=())]


def test_a_file_is_found_again_with_its_plans(memory: CompiledBefore, open_sandbox: Any) -> None:
    """Also when the sandbox that it was compiled in is gone: they are written into the new one."""
    first = open_sandbox()
    compiled = compile_in(first, ACCEPTED)
    (before,) = first.timed_plans[ACCEPTED.sha256]
    memory.keep(first, ACCEPTED, HERE, compiled)
    first.close()
    second = open_sandbox()
    assert memory.find(second, ACCEPTED, HERE) == compiled
    (found,) = second.timed_plans[ACCEPTED.sha256]
    assert (found.prepared, found.stored.plan) == (before.prepared, before.stored.plan)
    assert found.stored.contents == second.plans
    assert plan_file(found.stored).is_file()
    named = found.stored.plan.programs[0].cubin
    assert found.stored.read(named, "cubin")


def test_other_bytes_targets_or_laws_are_another_compile(memory: CompiledBefore, open_sandbox: Any) -> None:
    """What is known of one says nothing of the other."""
    sandbox = open_sandbox()
    memory.keep(sandbox, ACCEPTED, HERE, compile_in(sandbox, ACCEPTED))
    assert memory.find(sandbox, ORIGINAL, HERE) is None
    assert memory.find(sandbox, ACCEPTED, HERE[:1]) is None
    sandbox.operation = msgspec.structs.replace(ALEXNET_CONV1, algorithm="any")
    assert memory.find(sandbox, ACCEPTED, HERE) is None


def test_only_so_many_files_are_remembered(memory: CompiledBefore, open_sandbox: Any) -> None:
    """The oldest is forgotten first."""
    sandbox = open_sandbox()
    kernels = [make_kernel(name) for name in "0123456789"[: MOST + 1]]
    for kernel in kernels:
        memory.keep(sandbox, kernel, HERE, compile_in(sandbox, kernel))
    assert memory.find(sandbox, kernels[0], HERE) is None
    assert all(memory.find(sandbox, kernel, HERE) for kernel in kernels[1:])


def test_a_second_candidate_is_compiled_alone(
    memory: CompiledBefore, open_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the candidate itself is compiled each time, whatever it is."""
    asked: list[list[str]] = []

    def compile_kernels(sandbox: Sandbox, kernels: dict[KernelFile, Any]) -> dict[KernelFile, Any]:
        asked.append(sorted(kernel.path for kernel in kernels))
        return {kernel: compile_in(sandbox, kernel) * len(targets) for kernel, targets in kernels.items()}

    monkeypatch.setattr(compile_stage, "compile_kernels", compile_kernels)
    monkeypatch.setattr(compile_stage, "COMPILED_BEFORE", memory)
    for candidate in (CANDIDATE, make_kernel("d"), CANDIDATE):
        kernels = Kernels(candidate=candidate, accepted=ACCEPTED, original=ORIGINAL)
        compile_stage.compile_all(open_sandbox(), kernels, None, 90)
    assert asked == [["a.py", "b.py", "c.py"], ["d.py"], ["c.py"]]
