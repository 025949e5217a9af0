"""The work of a launch is counted from its TTIR, where the text tells how often each operation runs."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import pytest
import triton
import triton.language as tl

from kernelgate.execution.launch_plan import Launch, Pointer, Scalar
from kernelgate.execution.work import Work, count_work
from tests.selftest.interpreter.compiled import ttir_of

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
    signature = {"a": "*fp32", "b": "*fp32", "out": "*fp32", "K": "i32"}
    ttir = ttir_of(multiply, signature, {"STEP": 16, "HOW": how})
    pointers = tuple(Pointer(buffer=place) for place in range(3))
    launch = Launch(
        program="0" * 64,
        grid=GRID,
        threads=128,
        cluster=(clusters, 1, 1),
        shared_bytes=0,
        arguments=(*pointers, Scalar(kind="i32", bits=k % 2**32)),
    )
    return count_work(ttir, launch)


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
