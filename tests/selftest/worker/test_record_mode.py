"""Launches are recorded and compiled with no GPU, as the JIT's own binder would specialise them."""

from pathlib import Path
from typing import NamedTuple

import pytest
from triton.runtime import cache

from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.machine_code.cubin import hash_machine_code, read_assembler_log
from kernelgate.compilation.recording import PlannedCall, record
from kernelgate.execution.cards import ADA, HOPPER, Card
from kernelgate.execution.launch_plan import CallForm, Launch, Pointer, Program, Scalar
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import load_settings
from kernelgate.worker.fake_cuda.resources import read_resources
from kernelgate.worker.warm_up import warm_up
from tests.selftest.support.recorders import Start, Starting, as_kernel_file
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES, changed

ROOT = Path(__file__).resolve().parents[3]

PLAIN = CallForm()


class Launched(NamedTuple):
    """A launch of a plan, and the program that it runs."""

    launch: Launch
    program: Program
    stored: StoredPlan

    @property
    def code(self) -> str:
        """The name of its machine code."""
        return hash_machine_code(self.stored.read(self.program.cubin, "cubin"))

    def role(self, number: int) -> str:
        """Return which buffer an argument points into, and how many bytes."""
        argument = self.launch.arguments[number]
        assert isinstance(argument, Pointer)
        return f"{self.stored.plan.buffers[argument.buffer].role}+{argument.offset}"


def stored(starting: Starting, pin: int = 0, card: Card = ADA, form: CallForm = PLAIN) -> StoredPlan:
    """Return the plan of one call of the model."""
    sandbox, worker = starting
    recorded = record(sandbox, worker, PlannedCall(batch=256, pin=pin, card=card, form=form))
    assert recorded.stored is not None, recorded
    return recorded.stored


def compiled(starting: Starting, pin: int = 0, card: Card = ADA) -> list[Launched]:
    """Return the launches of one call of the model."""
    kept = stored(starting, pin, card)
    return [Launched(launch, kept.plan.program_of(launch), kept) for launch in kept.plan.launches]


def codes(starting: Starting, pin: int = 0, card: Card = ADA) -> list[str]:
    """Return the names of the machine code of each launch."""
    return [launched.code for launched in compiled(starting, pin, card)]


def broken(starting: Starting, form: CallForm = PLAIN) -> tuple[str, str]:
    """Return reason and detail of a call that cannot be planned."""
    sandbox, worker = starting
    recorded = record(sandbox, worker, PlannedCall(batch=256, pin=0, card=ADA, form=form))
    assert recorded.broken is not None, recorded
    return recorded.broken


def test_host_code_is_told_the_registers_that_the_assembler_used(start: Start) -> None:
    """As a GPU's driver tells them: programs are counted by them."""
    for launched in compiled(start(TWO_LAUNCHES)):
        cubin = launched.stored.read(launched.program.cubin, "cubin")
        said = read_assembler_log(launched.program.log)
        assert read_resources(cubin) == (said.registers, said.stack_bytes // 4)


def test_every_launch_is_recorded_with_its_grid_and_its_arguments(start: Start) -> None:
    """Two launches are two steps, in order; tensors are named by their role, numbers by their value."""
    count = 256 * 96 * 55 * 55
    first, second = compiled(start(TWO_LAUNCHES))
    assert (first.program.kernel, first.launch.grid) == ("fill", (count // 1024, 1, 1))
    assert (second.program.kernel, second.launch.grid) == ("shift", (-(-count // 4096), 1, 1))
    assert [first.role(number) for number in range(3)] == ["x+0", "weight+0", "temporary+0"]
    numbers = [each.bits for each in first.launch.arguments if isinstance(each, Scalar)]
    assert numbers == [3, 256 * 3 * 224 * 224 - 16, count]
    assert first.launch.threads == 4 * 32
    assert not first.launch.cooperative
    assert [second.role(number) for number in range(2)] == ["temporary+0", "bias+0"]
    for launched in (first, second):
        texts = {
            kind: launched.stored.read(getattr(launched.program, kind), kind) for kind in ("ptx", "ttir")
        }
        assert 0 < read_assembler_log(launched.program.log).registers <= 255
        assert f".visible .entry {launched.program.kernel}".encode() in texts["ptx"]
        assert f"tt.func public @{launched.program.kernel}".encode() in texts["ttir"]


@pytest.mark.parametrize(("layout", "beside"), [("contiguous", 0), ("odd-offset", 2)])
def test_a_buffer_is_as_long_as_what_its_tensor_lies_in(start: Start, layout: str, beside: int) -> None:
    """Of an input within other memory that is more than the input."""
    plan = stored(start(TWO_LAUNCHES), form=CallForm(layout=layout)).plan
    (x,) = (each for each in plan.buffers if each.role == "x")
    assert x.bytes == 4 * (256 * 3 * 224 * 224 + beside)


def test_recording_again_gives_the_same_plan(start: Start) -> None:
    """What is found in the JIT's own cache is recorded like what was compiled."""
    starting = start(TWO_LAUNCHES)
    assert stored(starting).sha256 == stored(starting).sha256


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
    assert compiled(start(source))[0].role(0) == "x+16"


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
    assert [compiled(worker, pin)[0].program.num_stages for pin in range(3)] == [1, 3, 1]


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
    assert [launched.program.kernel for launched in launches] == ["fill"]


def test_what_was_compiled_before_comes_with_the_assemblers_words_again(tmp_path: Path) -> None:
    """Another worker finds it on disk, where they are not kept."""
    sandbox = Sandbox(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    kernel = as_kernel_file(LOOP, tmp_path)
    try:
        first, again = (
            compile_kernel(sandbox, kernel, [Target(capability=ADA.capability)], 1)[0] for _ in range(2)
        )
    finally:
        sandbox.close()
    for one, other in zip(first.configs, again.configs, strict=True):
        assert (one.config, one.launches, one.error) == (other.config, other.launches, other.error)
        assert all(launch.registers for launch in other.launches)


def test_what_every_recorder_asks_is_known_before_copies_are_made() -> None:
    """Triton remembers the digest of its files: no copy reads its library again."""
    warm_up()
    before = cache.triton_key.cache_info()
    cache.triton_key()
    after = cache.triton_key.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)
