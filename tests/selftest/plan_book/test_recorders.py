"""Recorded in one place, compiled in another: a plan book says what the file said, which is not run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.compilation.recorders import BookRecorder, open_recorder
from kernelgate.compilation.recording import PlannedCall, UnplannedError
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.calls import Call
from kernelgate.execution.cards import ADA, HOPPER
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.versions import triton_version
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.plan_book.book import BookError, read_book
from kernelgate.plan_book.notes import BookNotes
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import load_settings
from tests.selftest.support.made_up_books import forge_for
from tests.selftest.support.recorders import as_kernel_file
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES, changed

LIMITS = load_settings(Path(__file__).resolve().parents[3] / "pyproject.toml").limits
TARGETS = [Target(capability=card.capability, at_hand=card, is_timed=True) for card in (ADA, HOPPER)]
RAISES = "\n\nNOBODY_GETS_HERE = 1 // 0\n"


@contextmanager
def opened() -> Iterator[Sandbox]:
    sandbox = Sandbox(ALEXNET_CONV1, LIMITS)
    try:
        yield sandbox
    finally:
        sandbox.close()


def keep(source: str, folder: Path) -> tuple[KernelFile, list[CompiledKernel], Path]:
    """Return a file, what it compiles to, and the plan book of that."""
    kernel = as_kernel_file(source, folder)
    with opened() as sandbox:
        sandbox.notes = BookNotes(ALEXNET_CONV1.name, kernel.sha256, triton_version())
        compiled = compile_kernel(sandbox, kernel, TARGETS, workers=1)
        sandbox.notes.write(folder / "book", entropy=1)
    return kernel, compiled, folder / "book"


def compile_by(book: Path, kernel: KernelFile) -> tuple[list[CompiledKernel], int]:
    """Return what a file compiles to by its book, and how many plans there are to time it by."""
    with opened() as sandbox:
        sandbox.book = read_book(book, ALEXNET_CONV1, kernel.sha256, triton_version())
        compiled = compile_kernel(sandbox, kernel, TARGETS, workers=1)
        return compiled, len(sandbox.timed_plans[kernel.sha256])


def test_a_file_compiles_by_its_book_to_what_it_compiles_to(tmp_path: Path) -> None:
    """For each GPU, in every form of the call; both configurations are one program to time."""
    kernel, compiled, book = keep(LOOP, tmp_path)
    by_book, timed = compile_by(book, kernel)
    assert by_book == compiled
    assert timed == 1


def test_a_file_that_has_a_book_is_not_run(tmp_path: Path) -> None:
    """One that raises when it is imported compiles by a book that was forged for it, and not without."""
    _, compiled, book = keep(TWO_LAUNCHES, tmp_path)
    broken = as_kernel_file(TWO_LAUNCHES + RAISES, tmp_path)
    forge_for(book, broken.sha256)
    by_book, _ = compile_by(book, broken)
    assert [each.configs for each in by_book] == [each.configs for each in compiled]
    with opened() as sandbox, pytest.raises(WorkerFault, match="ZeroDivisionError"):
        compile_kernel(sandbox, broken, TARGETS, workers=1)


def test_a_book_is_of_one_file_and_the_others_are_run(tmp_path: Path) -> None:
    """The accepted kernel is no stranger's."""
    kernel, _, book = keep(TWO_LAUNCHES, tmp_path)
    other = msgspec.structs.replace(kernel, sha256="0" * 64)
    with opened() as sandbox:
        sandbox.book = read_book(book, ALEXNET_CONV1, kernel.sha256, triton_version())
        assert isinstance(open_recorder(sandbox, kernel), BookRecorder)
        live = open_recorder(sandbox, other)
        assert not isinstance(live, BookRecorder)
        live.close()


def test_what_changes_from_call_to_call_is_seen_in_a_book_too(tmp_path: Path) -> None:
    """Its plans are compared where they are judged: whoever wrote it is not asked."""
    source = changed("out, 3, x.numel()", "out, 3 - self.training, x.numel()")
    kernel = as_kernel_file(source, tmp_path)
    with opened() as sandbox:
        sandbox.notes = BookNotes(ALEXNET_CONV1.name, kernel.sha256, triton_version())
        with pytest.raises(UnplannedError, match="in eval mode"):
            compile_kernel(sandbox, kernel, TARGETS[:1], workers=1)
        sandbox.notes.write(tmp_path / "book", entropy=1)
        sandbox.book = read_book(tmp_path / "book", ALEXNET_CONV1, kernel.sha256, triton_version())
        with pytest.raises(UnplannedError, match="in eval mode"):
            compile_kernel(sandbox, kernel, TARGETS[:1], workers=1)


def test_a_planner_knows_what_its_book_lacks(tmp_path: Path) -> None:
    """It says so where it is asked, and raises where it is needed."""
    kernel, _, book = keep(TWO_LAUNCHES, tmp_path)
    known = Call(recipe=Recipe(family="normal", seed=1, batch=256), pin=0)
    unknown = msgspec.structs.replace(known, recipe=Recipe(family="normal", seed=1, batch=77))
    with opened() as sandbox:
        sandbox.book = read_book(book, ALEXNET_CONV1, kernel.sha256, triton_version())
        with Planner(sandbox, kernel, TARGETS[1]) as planner:
            assert (planner.has(known), planner.has(unknown)) == (True, False)
            assert planner.plan(known).plan.target == "sm_90"
            with pytest.raises(BookError, match="N = 77"):
                planner.plan(unknown)


def test_a_book_has_no_code_that_is_assembled_for_another_gpu(tmp_path: Path) -> None:
    """Which `--code-path` would ask for."""
    kernel, _, book = keep(TWO_LAUNCHES, tmp_path)
    with opened() as sandbox:
        sandbox.book = read_book(book, ALEXNET_CONV1, kernel.sha256, triton_version())
        with pytest.raises(BookError, match="without --code-path"):
            open_recorder(sandbox, kernel).record(PlannedCall(batch=256, pin=0, card=ADA, assembled_for=90))


def test_the_same_file_compiles_to_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    """Plans of two recorders are held against each other, and line tables hold the file's date."""
    kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
    call = PlannedCall(batch=256, pin=0, card=ADA)
    digests = set()
    with opened() as sandbox:
        for _ in range(2):
            recorder = open_recorder(sandbox, kernel)
            recorder.load()
            stored = recorder.record(call).stored
            recorder.close()
            assert stored is not None
            digests.add(stored.sha256)
    assert len(digests) == 1
