"""Launches are recorded and compiled with no GPU, as the JIT's own binder would specialise them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from kernelgate import protocol
from kernelgate.compilation.compiler import Target, compile_kernel
from kernelgate.compilation.cubin import hash_machine_code, read_assembler_log
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import load_settings
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[3]
ADA, HOPPER = 89, 90
SECONDS = 60

Start = Callable[[str], Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a worker on a source; all are ended after the test."""
    sandbox = Sandbox(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    started: list[Worker] = []

    def start_one(source: str) -> Worker:
        worker = sandbox.start("compile", as_kernel_file(source, tmp_path))
        started.append(worker)
        sandbox.await_loaded(worker)
        return worker

    yield start_one
    for worker in started:
        worker.close()
    sandbox.close()


def as_kernel_file(source: str, folder: Path) -> KernelFile:
    """Return the source as the gate reads it."""
    file = folder / "kernel.py"
    file.write_text(source, encoding="utf-8")
    return read_kernel(file, 100_000)


def compiled(
    worker: Worker, pin: int = 0, capability: int = ADA, batch: int = 256
) -> tuple[protocol.RecordedLaunch, ...]:
    """Return the launches of one call of the model."""
    request = protocol.CompileOne(batch=batch, pin=pin, capability=capability)
    answer = worker.ask(request, protocol.Compiled, SECONDS)
    assert not answer.refused
    return answer.launches


def with_contents(launch: protocol.RecordedLaunch) -> protocol.RecordedLaunch:
    """Return the launch with what its files hold in the place of their names."""
    files = {name: getattr(launch, name) for name in ("cubin_file", "ptx_file", "ttir_file")}
    held = {name: str(Path(file).read_bytes()) for name, file in files.items()}
    return msgspec.structs.replace(launch, **held)


def codes(worker: Worker, pin: int = 0, capability: int = ADA) -> list[str]:
    """Return the names of the machine code of each launch."""
    launches = compiled(worker, pin, capability)
    return [hash_machine_code(Path(launch.cubin_file).read_bytes()) for launch in launches]


def changed(old: str, new: str, source: str = TWO_LAUNCHES) -> str:
    """Return the source with a text exchanged that it must hold."""
    assert old in source
    return source.replace(old, new)


def test_every_launch_is_recorded_with_its_grid_and_its_arguments(start: Start) -> None:
    """Two launches are two records, in order; tensors are named by their role, numbers by their value."""
    count = 256 * 96 * 55 * 55
    first, second = compiled(start(TWO_LAUNCHES))
    assert (first.kernel, first.grid) == ("fill", (count // 1024, 1, 1))
    assert (second.kernel, second.grid) == ("shift", (-(-count // 4096), 1, 1))
    assert [text.split()[0] for text in first.arguments[:3]] == ["x+0", "weight+0", "other+0"]
    assert first.arguments[3:7] == ("3", str(256 * 3 * 224 * 224 - 16), str(count), "1024")
    assert "num_warps=4" in first.arguments[7:]
    assert "launch_cooperative_grid=False" in first.arguments[7:]
    assert [text.split()[0] for text in second.arguments[:2]] == ["other+0", "bias+0"]
    assert "torch.float32 (256, 3, 224, 224)" in first.arguments[0]
    for launch in (first, second):
        assert 0 < read_assembler_log(launch.ptxas_log).registers <= 255
        assert f".visible .entry {launch.kernel}" in Path(launch.ptx_file).read_text(encoding="utf-8")
        assert f"tt.func public @{launch.kernel}" in Path(launch.ttir_file).read_text(encoding="utf-8")


def test_recording_again_gives_the_same(start: Start) -> None:
    """What is found in the JIT's own cache is recorded like what was compiled."""
    worker = start(TWO_LAUNCHES)
    first, again = ([with_contents(launch) for launch in compiled(worker)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fill[grid](x, conv1.weight, out, 1, ", "fill[grid](x.view(-1)[1:], conv1.weight, out, 1, "),
        ("out, 1, ", "out, 3, "),
        ("x.numel() - 16, count,", "x.numel() - 16, count - 1,"),
    ],
    ids=["pointer-not-divisible", "integer-is-one", "integer-not-divisible"],
)
def test_an_argument_of_another_kind_is_another_program(start: Start, old: str, new: str) -> None:
    """Pointers and integers that 16 divides, and integers that are 1, have programs of their own."""
    contiguous = changed("out, 3, ", "out, 1, ")
    before, _ = codes(start(contiguous))
    after, _ = codes(start(changed(old, new, contiguous)))
    assert before != after


def test_an_offset_pointer_is_recorded(start: Start) -> None:
    """The role carries the offset: the same code on other data is another launch."""
    source = changed("fill[grid](x, ", "fill[grid](x.view(-1)[4:], ")
    assert compiled(start(source))[0].arguments[0].startswith("x+4 ")


def test_two_targets_in_one_worker_do_not_mix(start: Start) -> None:
    """sm_89 and sm_90 give different code, in whichever order they are asked for."""
    worker, other = start(TWO_LAUNCHES), start(TWO_LAUNCHES)
    ada, hopper, ada_again = (codes(worker, 0, target) for target in (ADA, HOPPER, ADA))
    assert not set(ada) & set(hopper)
    assert ada == ada_again
    assert [codes(other, 0, target) for target in (HOPPER, ADA)] == [hopper, ada]


def test_stages_on_an_unrolled_loop_change_nothing(start: Start) -> None:
    """Twins share their code, whether one process compiles both or each has its own."""
    together, apart = start(LOOP), start(LOOP)
    first, second = codes(together, 0), codes(together, 1)
    assert first == second == codes(apart, 1)


def test_stages_on_a_loop_that_is_pipelined_change_the_code(start: Start) -> None:
    """One process compiling both gives what two processes give: nothing remembered is mistaken."""
    source = changed("tl.static_range(", "tl.range(", LOOP)
    together, apart = start(source), start(source)
    first, second = codes(together, 0), codes(together, 1)
    assert first != second
    assert (codes(apart, 1), codes(apart, 0)) == (second, first)


def test_the_configuration_is_recorded_as_launched(start: Start) -> None:
    """The pin decides which one; a pin beyond the list starts over."""
    worker = start(LOOP)
    assert [compiled(worker, pin)[0].num_stages for pin in range(3)] == [1, 3, 1]


def test_renaming_and_moving_lines_leave_the_code_alone(start: Start) -> None:
    """Names and line numbers are no machine code."""
    renamed = changed("@triton.jit", "# a remark\n\n@triton.jit", changed("scaled", "doubled"))
    assert codes(start(TWO_LAUNCHES)) == codes(start(renamed))


def test_another_constant_is_other_code(start: Start) -> None:
    """A number inside a kernel shows in that kernel's code and in no other's."""
    before = codes(start(TWO_LAUNCHES))
    after = codes(start(changed("value * 2.0", "value * 3.0")))
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_an_empty_grid_is_no_launch(start: Start) -> None:
    """Triton's launcher launches nothing then, and neither is anything recorded."""
    launches = compiled(start(changed("(triton.cdiv(count, 4096), 1)", "(0, 1)")))
    assert [launch.kernel for launch in launches] == ["fill"]


def test_what_was_compiled_before_comes_with_the_assemblers_words_again(tmp_path: Path) -> None:
    """Another worker finds it on disk, where they are not kept."""
    sandbox = Sandbox(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    kernel = as_kernel_file(LOOP, tmp_path)
    try:
        first, again = (compile_kernel(sandbox, kernel, [Target(capability=ADA)], 1) for _ in range(2))
    finally:
        sandbox.close()
    assert first == again
