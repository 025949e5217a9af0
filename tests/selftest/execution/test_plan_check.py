"""A launch plan is believed in nothing: every way of being no plan of the operation is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.execution.launch_plan import (
    MAX_STEPS,
    Fill,
    Launch,
    LaunchPlan,
    Null,
    Pointer,
    Scalar,
    View,
)
from kernelgate.execution.plan_check import PlanError, check_plan
from kernelgate.execution.plan_files import MAX_PLAN_BYTES, read_plan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.made_up_plans import (
    BATCH,
    BIAS,
    COMPUTE,
    FILL_PADDED,
    OUT,
    PACK,
    PACKED,
    PAD,
    PADDED,
    TABLE,
    WEIGHT,
    X,
    make_launch,
    make_plan,
    with_buffer,
    with_step,
    write_plan,
)

PLAN = make_plan()


def view_of(step: object, which: str, **changes: Any) -> View:
    """Return a view of a step with some fields changed."""
    view: View = getattr(step, which)
    return msgspec.structs.replace(view, **changes)


def of_pad(which: str, **changes: Any) -> LaunchPlan:
    """Return the plan whose copy of x has another view."""
    return with_step(PLAN, PAD, **{which: view_of(PLAN.steps[PAD], which, **changes)})


def given(*arguments: Pointer | Scalar | Null) -> LaunchPlan:
    """Return the plan whose launch has other arguments."""
    return with_step(PLAN, COMPUTE, arguments=arguments)


def test_the_right_plan_is_a_plan() -> None:
    """From which every fault below differs in one thing."""
    check_plan(PLAN, ALEXNET_CONV1)


ENDS = 4 * BATCH * 3 * 228 * 228
FAULTS: dict[str, tuple[LaunchPlan, str]] = {
    "other-operation": (make_plan(operation="resnet_conv1"), "it is of operation 'resnet_conv1'"),
    "batch-too-large": (
        make_plan(batch=ALEXNET_CONV1.max_batch + 1),
        f"its batch is {ALEXNET_CONV1.max_batch + 1}, allowed 1 to {ALEXNET_CONV1.max_batch}",
    ),
    "no-x": (with_buffer(PLAN, X, role="temporary"), "it has 0 buffers x, allowed 1"),
    "no-weight": (with_buffer(PLAN, WEIGHT, role="temporary"), "it has 0 buffers weight, allowed 1"),
    "no-bias": (with_buffer(PLAN, BIAS, role="temporary"), "it has 0 buffers bias, allowed 1"),
    "two-biases": (with_buffer(PLAN, OUT, role="bias"), "it has 2 buffers bias, allowed 1"),
    "weight-too-small": (
        with_buffer(PLAN, WEIGHT, bytes=4 * 96 * 363 - 1),
        f"buffer {WEIGHT}, weight, has {4 * 96 * 363 - 1} bytes, allowed {4 * 96 * 363} or more",
    ),
    "bias-too-small": (
        with_buffer(PLAN, BIAS, bytes=380),
        f"buffer {BIAS}, bias, has 380 bytes, allowed 384 or more",
    ),
    "constant-without-content": (
        with_buffer(PLAN, TABLE, content=None),
        f"buffer {TABLE}, constant: a constant has a content",
    ),
    "temporary-with-content": (
        with_buffer(PLAN, OUT, content="0" * 64),
        f"buffer {OUT}, temporary: a constant has a content",
    ),
    "x-with-content": (with_buffer(PLAN, X, content="0" * 64), f"buffer {X}, x: a constant has a content"),
    "unknown-type": (of_pad("source", dtype="complex64"), "source: unknown element type 'complex64'"),
    "view-of-no-buffer": (of_pad("source", buffer=7), "step 3, source: there is no buffer 7"),
    "fill-of-no-buffer": (
        with_step(PLAN, FILL_PADDED, target=view_of(PLAN.steps[FILL_PADDED], "target", buffer=99)),
        "step 2, target: there is no buffer 99",
    ),
    "strides-missing": (
        of_pad("source", strides=(1, 1, 1)),
        "step 3, source: 4 extents and 3 strides, allowed as many, and 8 at most",
    ),
    "rank-too-high": (
        with_step(
            PLAN,
            FILL_PADDED,
            target=View(buffer=PADDED, dtype="float32", shape=(1,) * 9, strides=(1,) * 9),
        ),
        "step 2, target: 9 extents and 9 strides, allowed as many, and 8 at most",
    ),
    "source-ends-outside": (
        of_pad("source", offset=1),
        f"step 3, source: ends {4 * BATCH * 3 * 224 * 224 + 4} bytes into a buffer of",
    ),
    "target-ends-outside": (
        with_buffer(PLAN, PADDED, bytes=ENDS - 1),
        f"step 2, target: ends {ENDS} bytes into a buffer of {ENDS - 1}",
    ),
    "fill-of-x": (
        with_step(PLAN, FILL_PADDED, target=PLAN.steps[PAD].source),  # type: ignore[union-attr]
        "step 2: moves data into x, which only launches may try to write",
    ),
    "copy-into-a-constant": (
        with_step(
            PLAN,
            PACK,
            target=View(buffer=TABLE, dtype="float32", shape=(4,), strides=(1,)),
            source=View(buffer=WEIGHT, dtype="float32", shape=(4,), strides=(1,)),
        ),
        "step 1: moves data into constant, which only launches may try to write",
    ),
    "copy-of-another-shape": (
        of_pad("source", shape=(BATCH, 3, 224, 223)),
        "step 3: copies shape [2, 3, 224, 223] to [2, 3, 224, 224]",
    ),
    "cast-that-narrows": (
        of_pad("target", dtype="float16"),
        "step 3: a cast of float32 to float16 is no move of data, it loses values",
    ),
    "cast-to-an-integer": (
        of_pad("target", dtype="int32"),
        "step 3: a cast of float32 to int32 is no move of data, it loses values",
    ),
    "program-missing": (
        with_step(PLAN, COMPUTE, program="e" * 64),
        "step 4: launches program eeeeeeeeeeee, which is not in the plan",
    ),
    "grid-y-too-large": (
        with_step(PLAN, COMPUTE, grid=(1, 65536, 1)),
        "step 4: has the grid [1, 65536, 1], allowed [2147483647, 65535, 65535]",
    ),
    "grid-z-too-large": (with_step(PLAN, COMPUTE, grid=(1, 1, 65536)), "step 4: has the grid [1, 1, 65536]"),
    "threads": (
        with_step(PLAN, COMPUTE, threads=1025),
        "step 4: has 1025 threads a block, allowed 1024",
    ),
    "cluster": (
        with_step(PLAN, COMPUTE, cluster=(2, 3, 3)),
        "step 4: has the cluster [2, 3, 3], allowed 16 blocks",
    ),
    "shared-memory": (
        with_step(PLAN, COMPUTE, shared_bytes=228 * 1024 + 1),
        "step 4: takes 233473 bytes of shared memory, allowed 233472",
    ),
    "too-many-arguments": (given(*[Null()] * 513), "step 4: has 513 arguments, allowed 4096 bytes of them"),
    "scalar-of-no-kind": (
        given(Scalar(kind="i24", bits=0)),
        "step 4, argument 0: unknown kind 'i24'",
    ),
    "scalar-too-large": (
        given(Null(), Scalar(kind="i32", bits=2**32)),
        "step 4, argument 1: 4294967296 does not fit i32",
    ),
    "scalar-below-zero": (given(Scalar(kind="i32", bits=-1)), "step 4, argument 0: -1 does not fit i32"),
    "pointer-to-no-buffer": (given(Pointer(buffer=7)), "step 4, argument 0: there is no buffer 7"),
    "pointer-outside": (
        given(Pointer(buffer=BIAS, offset=385)),
        "step 4, argument 0: points 385 bytes into a buffer of 384",
    ),
    "answer-of-no-buffer": (
        make_plan(answer=view_of(PLAN, "answer", buffer=7)),
        "the answer: there is no buffer 7",
    ),
    "answer-ends-outside": (
        make_plan(answer=view_of(PLAN, "answer", buffer=PACKED)),
        f"the answer: ends {4 * BATCH * 96 * 55 * 55} bytes into a buffer of",
    ),
    "answer-of-other-strides": (
        make_plan(answer=view_of(PLAN, "answer", strides=(290400, 1, 96, 5280))),
        "the answer has the strides [290400, 1, 96, 5280], allowed [290400, 3025, 55, 1]",
    ),
    "answer-of-another-shape": (
        make_plan(answer=view_of(PLAN, "answer", shape=(BATCH, 96, 55, 54))),
        "the answer is float32 [2, 96, 55, 54], allowed float32 [2, 96, 55, 55]",
    ),
    "answer-of-another-type": (
        make_plan(answer=view_of(PLAN, "answer", dtype="float16")),
        "the answer is float16 [2, 96, 55, 55], allowed float32",
    ),
    "answer-of-another-batch": (
        make_plan(batch=1),
        "the answer is float32 [2, 96, 55, 55], allowed float32 [1, 96, 55, 55]",
    ),
}


@pytest.mark.parametrize(("plan", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named(plan: LaunchPlan, says: str) -> None:
    """With what was seen, what is allowed, and where."""
    with pytest.raises(PlanError) as caught:
        check_plan(plan, ALEXNET_CONV1)
    assert says in str(caught.value)
    assert str(caught.value).startswith("not a launch plan of alexnet_conv1: ")


AT_THE_EDGE: dict[str, LaunchPlan] = {
    "largest-launch": with_step(
        PLAN,
        COMPUTE,
        grid=(2**31 - 1, 65535, 65535),
        threads=1024,
        cluster=(16, 1, 1),
        shared_bytes=228 * 1024,
    ),
    "most-arguments": given(*[Null()] * 512),
    "largest-scalars": given(Scalar(kind="i32", bits=2**32 - 1), Scalar(kind="i1", bits=255)),
    "pointer-past-the-last-byte": given(Pointer(buffer=BIAS, offset=384)),
    "empty-view": of_pad("source", shape=(0, 3, 224, 224), offset=2**62),
    "cast-that-widens": with_step(
        PLAN,
        PACK,
        target=View(buffer=PACKED, dtype="float64", shape=(96,), strides=(1,)),
        source=View(buffer=BIAS, dtype="float32", shape=(96,), strides=(1,)),
    ),
}
AT_THE_EDGE["empty-view"] = with_step(
    AT_THE_EDGE["empty-view"],
    PAD,
    target=view_of(PLAN.steps[PAD], "target", shape=(0, 3, 224, 224)),
)


@pytest.mark.parametrize("plan", AT_THE_EDGE.values(), ids=AT_THE_EDGE.keys())
def test_what_is_just_allowed_is_no_fault(plan: LaunchPlan) -> None:
    """The limits themselves, and views of no element."""
    check_plan(plan, ALEXNET_CONV1)


def test_no_more_than_three_faults_are_named() -> None:
    """However many there are: a million launches of a program that is not there are told at once."""
    plan = make_plan(steps=(make_launch(program="e" * 64),) * 10**6)
    with pytest.raises(PlanError) as caught:
        check_plan(plan, ALEXNET_CONV1)
    assert str(caught.value).count("which is not in the plan") == 3


Document = dict[str, Any]
Change = Callable[[Document], object]


def of_launch(**changes: Any) -> Change:
    """Return the change of the plan's launch."""
    return lambda plan: plan["steps"][COMPUTE].update(changes)


ILL_FORMED: dict[str, tuple[Change, str]] = {
    "other-schema": (lambda plan: plan.update(schema="kernelgate.plan/1"), "Invalid enum value"),
    "schema-missing": (lambda plan: plan.pop("schema"), "missing required field `schema`"),
    "unknown-field": (lambda plan: plan.update(trusted=True), "unknown field `trusted`"),
    "unknown-field-of-a-launch": (of_launch(priority=1), "unknown field `priority`"),
    "unknown-step": (of_launch(type="memset"), "Invalid value 'memset'"),
    "grid-of-none": (of_launch(grid=[0, 1, 1]), "Expected `int` >= 1"),
    "grid-below-none": (of_launch(grid=[-1, 1, 1]), "Expected `int` >= 1"),
    "grid-of-2-to-31": (of_launch(grid=[2**31, 1, 1]), "Expected `int` <= 2147483647"),
    "grid-of-two-numbers": (of_launch(grid=[1, 1]), "of length 3"),
    "grid-of-fractions": (of_launch(grid=[1.5, 1, 1]), "Expected `int`, got `float`"),
    "no-threads": (of_launch(threads=0), "Expected `int` >= 1"),
    "program-that-is-a-path": (of_launch(program="../" * 21 + "e"), "matching regex"),
    "content-that-is-a-path": (lambda plan: plan["buffers"][TABLE].update(content="/etc/passwd"), "regex"),
    "offset-below-zero": (
        lambda plan: plan["steps"][PAD]["source"].update(offset=-4),
        "Expected `int` >= 0",
    ),
    "stride-below-zero": (
        lambda plan: plan["steps"][PAD]["source"].update(strides=[1, 1, 1, -1]),
        "Expected `int` >= 0",
    ),
    "buffer-of-2-to-48-bytes": (lambda plan: plan["buffers"][OUT].update(bytes=2**48), "Expected `int` <="),
    "fill-with-a-word": (lambda plan: plan["steps"][FILL_PADDED].update(value="zero"), "Invalid enum value"),
    "no-batch": (lambda plan: plan.update(batch=0), "Expected `int` >= 1"),
    "no-target": (lambda plan: plan.update(target="sm_89; rm"), "matching regex"),
    "too-many-steps": (
        lambda plan: plan.update(steps=plan["steps"][COMPUTE:] * (MAX_STEPS + 1)),
        f"of length <= {MAX_STEPS}",
    ),
}


@pytest.mark.parametrize(("change", "says"), ILL_FORMED.values(), ids=ILL_FORMED.keys())
def test_what_is_no_plan_at_all_is_not_read(tmp_path: Path, change: Change, says: str) -> None:
    """The message names the field."""
    file = write_plan(PLAN, tmp_path)
    read_plan(file, ALEXNET_CONV1)
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(PlanError, match="no launch plan") as caught:
        read_plan(file, ALEXNET_CONV1)
    assert says in str(caught.value)


BROKEN_TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "half": lambda text: text[: len(text) // 2],
    "all-but-the-end": lambda text: text[:-1],
    "something-after": lambda text: text + b"{}",
    "no-utf-8": lambda text: text.replace(b"compute", b"\xff\xfe"),
    "a-list": lambda text: b"[" + text + b"]",
    "deep": lambda _: b"[" * 10**6,
}


@pytest.mark.parametrize("change", BROKEN_TEXTS.values(), ids=BROKEN_TEXTS.keys())
def test_a_broken_text_is_not_read(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """Truncated at any place, or no JSON of a plan."""
    file = write_plan(PLAN, tmp_path)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(PlanError, match="no launch plan"):
        read_plan(file, ALEXNET_CONV1)


def test_a_million_launches_are_not_read(tmp_path: Path) -> None:
    """The file is given up at the bytes allowed, not when it has been read."""
    launch: Launch = make_launch()
    file = write_plan(make_plan(steps=(launch,)), tmp_path)
    text = msgspec.json.encode(launch)
    whole = file.read_bytes().replace(text, b",".join([text] * 10**6))
    assert len(whole) > 10**6 * len(text)
    file.write_bytes(whole)
    try:
        with pytest.raises(PlanError, match=f"more than the {MAX_PLAN_BYTES} bytes allowed"):
            read_plan(file, ALEXNET_CONV1)
    finally:
        file.unlink()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", 0, 1.5, -(2**63)])
def test_every_value_that_a_fill_may_have_is_read_again(tmp_path: Path, value: Any) -> None:
    """JSON has no word for what is not finite, a plan has."""
    plan = with_step(PLAN, FILL_PADDED, value=value)
    step = read_plan(write_plan(plan, tmp_path), ALEXNET_CONV1).plan.steps[FILL_PADDED]
    assert isinstance(step, Fill)
    assert step.value == value


def test_a_tensor_that_the_operation_lacks_is_refused(tmp_path: Path) -> None:
    """By its name, with the buffer that claims it."""
    file = write_plan(with_buffer(PLAN, OUT, role="out"), tmp_path)
    with pytest.raises(PlanError, match=f"buffer {OUT}, out: alexnet_conv1 has no such tensor"):
        read_plan(file, ALEXNET_CONV1)
