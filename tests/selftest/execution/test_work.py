"""The work of a launch is counted from its TTIR, where the text tells how often each operation runs."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import triton
import triton.language as tl

from kernelgate.execution.launch_plan import Launch, Pointer, Scalar
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.execution.work import PlanWork, Work, count_work, weigh_plan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.interpreter.compiled import ttir_of
from tests.selftest.support.made_up_plans import BATCH, make_launch, make_plan

GRID = (6, 2, 1)
TILE_BYTES = 4 * 16 * 16


@triton.jit
def multiply(a, b, out, K, STEP: tl.constexpr, HOW: tl.constexpr):
    row, column = tl.arange(0, 16)[:, None], tl.arange(0, 16)[None, :]
    total = tl.zeros((16, 16), dtype=tl.float32)
    first = 0
    if HOW == "of-its-own":
        first = tl.program_id(0)
    if HOW == "while":
        k = K * 1
        while k > 0:
            total += tl.dot(tl.load(a + row * K + column), tl.load(b + row * 16 + column))
            k -= STEP
    else:
        for _ in range(first, K, STEP):
            for _ in range(2 if HOW == "nested" else 1):
                total += tl.dot(tl.load(a + row * K + column), tl.load(b + row * 16 + column))
    tl.store(out + row * 16 + column, total)


def work_of(how: str, k: int, *, clusters: int = 1) -> Work | None:
    return count_work(text_of(how), launch_with(k, cluster=(clusters, 1, 1)))


def text_of(how: str) -> str:
    signature = {"a": "*fp32", "b": "*fp32", "out": "*fp32", "K": "i32"}
    return ttir_of(multiply, signature, {"STEP": 16, "HOW": how})


def launch_with(k: int, **changes: Any) -> Launch:
    pointers = tuple(Pointer(buffer=place) for place in range(3))
    return make_launch(*pointers, Scalar(kind="i32", bits=k % 2**32), grid=GRID, **changes)


def plan_of(folder: Path, *texts: str) -> StoredPlan:
    """Return a plan that launches a kernel of each text, by 64 products an element."""
    programs, launches = [], []
    for number, text in enumerate(texts):
        names = {"cubin": f"{number:064}", "ttir": hashlib.sha256(text.encode()).hexdigest()}
        (folder / f"{names['ttir']}.ttir").write_text(text, encoding="utf-8")
        programs.append(msgspec.structs.replace(make_plan().programs[0], **names))
        launches.append(launch_with(64, program=names["cubin"]))
    plan = make_plan(programs=tuple(programs), steps=tuple(launches))
    return StoredPlan(plan=plan, sha256="0" * 64, contents=folder)


def test_the_launches_of_a_plan_are_weighed_together(tmp_path: Path) -> None:
    """Against what the operation needs at the plan's batch: 363 products an element, each tensor once."""
    weighed = weigh_plan(plan_of(tmp_path, text_of("plain"), text_of("nested")), ALEXNET_CONV1)
    programs = GRID[0] * GRID[1]
    assert weighed == PlanWork(
        products=programs * (4 + 8) * 16**3,
        products_needed=BATCH * 96 * 55 * 55 * 363,
        bytes_asked=programs * (9 + 17) * TILE_BYTES,
        bytes_needed=4 * (BATCH * (3 * 224 * 224 + 96 * 55 * 55) + 96 * 363 + 96),
    )
    assert weighed.products_ratio == weighed.products / weighed.products_needed
    assert weighed.bytes_ratio == weighed.bytes_asked / weighed.bytes_needed


def test_a_plan_with_a_launch_that_cannot_be_counted_has_no_figure(tmp_path: Path) -> None:
    """A part would pass for the whole."""
    assert weigh_plan(plan_of(tmp_path, text_of("plain"), text_of("while")), ALEXNET_CONV1) is None


@pytest.mark.parametrize(
    ("how", "k", "turns"),
    [("plain", 64, 4), ("plain", 65, 5), ("plain", 0, 0), ("plain", -16, 0), ("nested", 64, 8)],
)
def test_products_and_bytes_of_every_turn_are_counted(how: str, k: int, turns: int) -> None:
    """Two tiles are loaded a turn; one is stored in the end. Bounds are the launch's own arguments."""
    programs = GRID[0] * GRID[1]
    assert work_of(how, k) == Work(
        products=programs * turns * 16**3, bytes_asked=programs * (2 * turns + 1) * TILE_BYTES
    )


def test_blocks_of_a_cluster_are_one_program() -> None:
    """The grid of a launch counts blocks."""
    alone, together = work_of("plain", 64), work_of("plain", 64, clusters=2)
    assert alone is not None
    assert together is not None
    assert alone.products == 2 * together.products


@pytest.mark.parametrize("how", ["of-its-own", "while"])
def test_a_loop_whose_length_the_text_does_not_tell_is_not_counted(how: str) -> None:
    """A guess would pass for a figure."""
    assert work_of(how, 64) is None
