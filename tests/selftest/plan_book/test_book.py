"""A plan book is data of somebody else: whatever is wrong with it, it is refused before it is used."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.execution.cards import ADA, HOPPER
from kernelgate.execution.launch_plan import CallForm, Pointer
from kernelgate.execution.plan_files import PLAN_NAME
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.plan_book import book as book_module
from kernelgate.plan_book.book import BookError, PlanBook, read_book
from kernelgate.plan_book.index import INDEX_NAME, CallKey
from tests.selftest.support.made_up_books import (
    KERNEL,
    TRITON,
    make_call,
    read_index,
    write_book,
    write_index,
)
from tests.selftest.support.made_up_plans import COMPUTE, NAMES, make_launch, make_plan, with_step

KEY = CallKey(ADA.name, 2, 0, CallForm())


def read(folder: Path) -> PlanBook:
    return read_book(folder, ALEXNET_CONV1, KERNEL, TRITON)


def test_a_right_book_is_read(tmp_path: Path) -> None:
    """Each call by what is asked, its plan with all that it names."""
    book = read(write_book(tmp_path / "book"))
    assert KEY in book
    assert book.plan_of(book.find(KEY, ADA)).plan == make_plan()
    assert book.index.entropy == 7


def plan_of(folder: Path) -> Path:
    (file,) = folder.glob(f"*.{PLAN_NAME}")
    return file


def change_call(**changes: Any) -> Callable[[Path], None]:
    """Return what changes the one entry of the index."""

    def change(folder: Path) -> None:
        index = read_index(folder)
        write_index(folder, index | {"calls": [index["calls"][0] | changes]})

    return change


def change_index(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: write_index(folder, read_index(folder) | changes)


def link(name: Callable[[Path], Path]) -> Callable[[Path], None]:
    """Return what puts a link to the same content in a file's place."""

    def replace(folder: Path) -> None:
        file = name(folder)
        file.rename(folder.parent / "elsewhere")
        file.symlink_to(folder.parent / "elsewhere")

    return replace


def index_of(folder: Path) -> Path:
    return folder / INDEX_NAME


def truncate(folder: Path) -> None:
    index_of(folder).write_bytes(index_of(folder).read_bytes()[:-20])


def repeat_launches(folder: Path) -> None:
    """Have a plan launch its program a million times; it still has its digest for a name."""
    plan = msgspec.to_builtins(make_plan())
    launch = msgspec.to_builtins(make_launch(Pointer(buffer=0)))
    text = json.dumps(plan | {"steps": [launch] * 1_000_000})
    plan_of(folder).write_text(text[: 20 * 2**20], encoding="utf-8")


def many_steps(folder: Path) -> None:
    """Have it fill what it has eleven thousand times, which is a file of an allowed size."""
    plan = msgspec.to_builtins(make_plan())
    text = json.dumps(plan | {"steps": plan["steps"][:1] * 11_000})
    plan_of(folder).write_text(text, encoding="utf-8")


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "is no plan book"),
    "empty": (lambda folder: index_of(folder).write_bytes(b""), "is no plan book"),
    "not UTF-8": (lambda folder: index_of(folder).write_bytes(b'{"schema": "\xff"}'), "is no plan book"),
    "deep": (lambda folder: index_of(folder).write_text("[" * 100_000), "is no plan book"),
    "no index": (lambda folder: index_of(folder).unlink(), "cannot be read"),
    "other schema": (change_index(schema="kernelgate.plans/2"), "allowed: kernelgate.plans/1"),
    "no schema": (change_index(schema=None), "is no plan book"),
    "unknown field": (change_index(more=1), "unknown field"),
    "other operation": (change_index(operation="other"), "is of operation 'other'"),
    "other kernel": (change_index(kernel_sha256="e" * 64), "is of kernel file 'eeee"),
    "other Triton": (change_index(triton="3.7.1"), "is of Triton '3.7.1'"),
    "negative entropy": (change_index(entropy=-1), "is no plan book"),
    "two cards of one name": (
        lambda folder: change_index(cards=[*read_index(folder)["cards"]] * 2)(folder),
        "two",
    ),
    "no card": (change_index(cards=[]), "of which there is no card"),
    "call of another card": (change_call(gpu="NVIDIA H200"), "of which there is no card"),
    "one call twice": (
        lambda folder: change_index(calls=read_index(folder)["calls"] * 2)(folder),
        "two entries",
    ),
    "too many calls": (
        lambda folder: change_index(calls=read_index(folder)["calls"] * 4001)(folder),
        "length",
    ),
    "no plan and no reason": (change_call(plan=None, held=[]), "has a plan, or is refused"),
    "a plan and a reason": (change_call(refused="no"), "has a plan, or is refused"),
    "an invented reason": (change_call(plan=None, held=[], unplanned="same-code"), "no reason of a recorder"),
    "contents of no buffers": (change_call(plan=None, refused="no"), "has no buffers"),
    "other number of contents": (change_call(held=[]), "number of buffers is 7"),
    "path outside": (change_call(plan="../../../../etc/passwd"), "is no plan book"),
    "name of a path": (change_call(plan="/" * 64), "is no plan book"),
    "other batch": (change_call(batch=3), "batch is 2, in the index 3"),
    "other form": (change_call(form={"training": False}), "form of the call is"),
    "other configuration": (change_index(autotuned=[]), "configuration is 32"),
    "missing plan": (lambda folder: plan_of(folder).unlink(), "is missing"),
    "other plan": (lambda folder: plan_of(folder).write_bytes(b"{}"), "no launch plan"),
    "a million launches": (repeat_launches, "more than the"),
    "many steps": (many_steps, "no launch plan: Expected `array` of length <= 10000"),
    "missing program": (lambda folder: (folder / f"{NAMES['cubin']}.cubin").unlink(), "cannot be read"),
    "other program": (
        lambda folder: (folder / f"{NAMES['cubin']}.cubin").write_bytes(b"x"),
        "something else than its name says",
    ),
    "link to the plan": (link(plan_of), "is no regular file"),
    "link to the index": (link(index_of), "is no regular file"),
    "pipe": (lambda folder: os.mkfifo(folder / "p"), "is no regular file"),
    "folder": (lambda folder: (folder / "more").mkdir(), "is no regular file"),
    "unknown file": (lambda folder: (folder / "conftest.py").write_text(""), "is no file of a plan book"),
    "index too large": (
        lambda folder: os.truncate(index_of(folder), 16 * 2**20 + 1),
        "16777216 bytes allowed",
    ),
    "all too large": (
        lambda folder: os.truncate(folder / f"{NAMES['bin']}.bin", 2**28),
        "or 268435456 bytes",
    ),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_book_is_refused(tmp_path: Path, damage: Callable[[Path], object], says: str) -> None:
    """With where and what, whoever damaged it."""
    folder = write_book(tmp_path / "book")
    damage(folder)
    with pytest.raises(BookError, match=says) as caught:
        read(folder)
    assert str(folder) in str(caught.value)


WRONG_PLANS = {
    "pointer outside": (
        with_step(make_plan(), COMPUTE, arguments=(Pointer(buffer=0, offset=2**30),)),
        "points 1073741824 bytes into a buffer",
    ),
    "pointer to no buffer": (
        with_step(make_plan(), COMPUTE, arguments=(Pointer(buffer=99),)),
        "no buffer 99",
    ),
    "grid of no GPU": (with_step(make_plan(), COMPUTE, grid=(1, 70_000, 1)), "has the grid"),
    "other operation": (make_plan(operation="other"), "of operation 'other'"),
    "other kernel": (make_plan(kernel_sha256="e" * 64), "kernel file is eeee"),
    "other Triton": (make_plan(triton="3.7.1"), "Triton is 3.7.1, in the index 3.6.0"),
    "other target": (make_plan(target="sm_90"), "target is sm_90, in the index sm_89"),
    "assembled for another": (make_plan(card="sm_90"), "card is sm_90, in the index sm_89"),
}


@pytest.mark.parametrize(("plan", "says"), WRONG_PLANS.values(), ids=WRONG_PLANS.keys())
def test_a_plan_that_is_none_or_of_something_else_is_refused(tmp_path: Path, plan: Any, says: str) -> None:
    """Though it has its digest for a name."""
    folder = write_book(tmp_path / "book", plan)
    with pytest.raises(BookError, match=says):
        read(folder)


def test_a_book_of_very_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before one of them is read."""
    folder = write_book(tmp_path / "book")
    monkeypatch.setattr(book_module, "MAX_FILES", 5)
    with pytest.raises(BookError, match="more than 5 files"):
        read(folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Nor is one that is a file."""
    for folder in (tmp_path / "missing", write_book(tmp_path / "book") / INDEX_NAME):
        with pytest.raises(BookError, match="cannot be read"):
            read(folder)


def test_a_call_that_is_not_in_the_book_is_an_error(tmp_path: Path) -> None:
    """Never a call less."""
    book = read(write_book(tmp_path / "book"))
    other = KEY._replace(batch=256)
    assert other not in book
    with pytest.raises(BookError, match="no answer to the call N = 256, configuration 0"):
        book.find(other, ADA)


def test_a_book_for_another_gpu_is_refused(tmp_path: Path) -> None:
    """By its name, and by what host code may ask of it; the driver's share of its memory may differ."""
    book = read(write_book(tmp_path / "book"))
    book.require_card(msgspec.structs.replace(ADA, total_memory=1))
    with pytest.raises(BookError, match="plans for NVIDIA GeForce RTX 4090, and none for NVIDIA H200"):
        book.require_card(HOPPER)
    with pytest.raises(BookError, match="multi_processor_count is 128 in the book, and 114 here"):
        book.require_card(msgspec.structs.replace(ADA, multi_processor_count=114))


def test_why_a_call_has_no_plan_is_kept(tmp_path: Path) -> None:
    """One that is refused, and one that cannot be planned."""
    calls = [
        make_call(batch=3, refused="not for this batch"),
        make_call(batch=4, unplanned="reads-values", detail="asks"),
    ]
    book = read(write_book(tmp_path / "book", calls=[msgspec.to_builtins(call) for call in calls]))
    assert book.find(KEY._replace(batch=3), ADA).refused == "not for this batch"
    assert book.find(KEY._replace(batch=4), ADA).unplanned == "reads-values"
