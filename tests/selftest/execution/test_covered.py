"""What whole grids write is counted by their stores alone, and where these do not tell, nothing is said."""

# ruff: noqa: ANN001, ANN201 - kernels are written in Triton's own idiom

from typing import Any

import msgspec
import pytest
import triton
import triton.language as tl

from kernelgate.execution.launch_plan import (
    Buffer,
    CallForm,
    Fill,
    Launch,
    LaunchPlan,
    Pointer,
    Program,
    Scalar,
    View,
)
from kernelgate.execution.observed.covered import count_covered, interpreted_part
from tests.selftest.interpreter.compiled import ttir_of

ELEMENTS = 100
DIGEST = "0" * 64


@triton.jit
def doubled(x, out, n):
    place = tl.program_id(0) * 16 + tl.arange(0, 16)
    tl.store(out + place, 2 * tl.load(x + place, mask=place < n), mask=place < n)


@triton.jit
def scattered(x, out, n):
    place = tl.program_id(0) * 16 + tl.arange(0, 16)
    tl.store(out + tl.load(x + place, mask=place < n).to(tl.int32), 1.0, mask=place < n)


def plan_of(programs: int, **changes: Any) -> LaunchPlan:
    launch = Launch(
        program=DIGEST,
        grid=(programs, 1, 1),
        threads=32,
        shared_bytes=0,
        arguments=(Pointer(buffer=0), Pointer(buffer=1), Scalar(kind="i32", bits=ELEMENTS)),
    )
    plan = LaunchPlan(
        schema="kernelgate.plan/2",
        operation="doubled",
        kernel_sha256=DIGEST,
        target="sm_89",
        card="sm_89",
        triton="3.7.1",
        batch=1,
        config=None,
        form=CallForm(),
        buffers=(Buffer(role="x", bytes=4 * ELEMENTS), Buffer(role="temporary", bytes=4 * ELEMENTS)),
        programs=(Program(kernel="k", cubin=DIGEST, ptx=DIGEST, ttir=DIGEST, num_warps=1, num_stages=1),),
        steps=(launch,),
        answer=View(buffer=1, dtype="float32", shape=(ELEMENTS,), strides=(1,)),
    )
    return msgspec.structs.replace(plan, **changes)


def covered(kernel: Any, plan: LaunchPlan, pointer: str = "*fp32") -> int | None:
    text = ttir_of(kernel, {"x": pointer, "out": pointer, "n": "i32"}, {})
    return count_covered(plan, lambda _: text)


@pytest.mark.parametrize(("programs", "elements"), [(7, 100), (6, 96), (9, 100)])
def test_each_element_that_a_grid_writes_is_counted_once(programs: int, elements: int) -> None:
    """A program too few leaves some out, one too many writes none."""
    assert covered(doubled, plan_of(programs)) == elements


def test_elements_of_two_bytes_are_counted_as_such() -> None:
    plan = plan_of(6)
    answer = msgspec.structs.replace(plan.answer, dtype="bfloat16")
    buffers = tuple(msgspec.structs.replace(each, bytes=2 * ELEMENTS) for each in plan.buffers)
    assert covered(doubled, plan_of(6, answer=answer, buffers=buffers), "*bf16") == 96


def test_where_stores_depend_on_what_is_loaded_nothing_is_said() -> None:
    assert covered(scattered, plan_of(7)) is None


def test_where_a_move_of_data_has_a_hand_in_it_nothing_is_said() -> None:
    plan = plan_of(6)
    filled = msgspec.structs.replace(plan, steps=(*plan.steps, Fill(target=plan.answer, value=0)))
    assert covered(doubled, filled) is None


def test_too_many_programs_are_not_run() -> None:
    assert covered(doubled, plan_of(500_001)) is None


def test_plans_that_differ_in_machine_code_alone_are_interpreted_alike() -> None:
    plan, other = plan_of(7), "1" * 64
    program = msgspec.structs.replace(plan.programs[0], cubin=other, ptx=other, num_warps=8, num_stages=3)
    launch = msgspec.structs.replace(plan.launches[0], program=other, threads=256, shared_bytes=1024)
    faster = msgspec.structs.replace(plan, programs=(program,), steps=(launch,))
    assert interpreted_part(faster) == interpreted_part(plan)


@pytest.mark.parametrize("changed", ["ttir", "grid", "arguments", "buffers", "answer", "step"])
def test_plans_that_do_anything_else_are_told_apart(changed: str) -> None:
    plan = plan_of(7)
    launch, replace = plan.launches[0], msgspec.structs.replace
    others = {
        "ttir": replace(plan, programs=(replace(plan.programs[0], ttir="1" * 64),)),
        "grid": plan_of(8),
        "arguments": replace(plan, steps=(replace(launch, arguments=launch.arguments[::-1]),)),
        "buffers": replace(plan, buffers=(plan.buffers[0], replace(plan.buffers[1], bytes=8 * ELEMENTS))),
        "answer": replace(plan, answer=replace(plan.answer, offset=1)),
        "step": replace(plan, steps=(*plan.steps, Fill(target=plan.answer, value=0))),
    }
    assert interpreted_part(others[changed]) != interpreted_part(plan)
