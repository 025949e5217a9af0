"""A right launch plan of a made-up file: weights are prepared, x is padded, a kernel computes the answer."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.execution.launch_plan import (
    Argument,
    Buffer,
    CallForm,
    Copy,
    Fill,
    Launch,
    LaunchPlan,
    Null,
    Pointer,
    Program,
    Scalar,
    View,
)
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig

BATCH = 2
X, WEIGHT, BIAS, PACKED, PADDED, OUT, TABLE = range(7)
"""The numbers of its buffers."""

FILL_PACKED, PACK, FILL_PADDED, PAD, COMPUTE = range(5)
"""The numbers of its steps."""

CONTENTS = {
    "cubin": b"machine code of pack, and of compute",
    "ptx": b".visible .entry compute",
    "ttir": b"tt.func public @compute",
    "bin": bytes(range(64)),
}
"""What the plan names, by kind; nobody runs it."""

NAMES = {kind: hashlib.sha256(content).hexdigest() for kind, content in CONTENTS.items()}

PADDED_SHAPE = (BATCH, 3, 228, 228)
STORED = (3 * 228 * 228, 228 * 228, 228, 1)


def _dense(buffer: int, *shape: int) -> View:
    strides = [1]
    for extent in reversed(shape[1:]):
        strides.insert(0, strides[0] * extent)
    return View(buffer=buffer, dtype="float32", shape=shape, strides=tuple(strides))


def make_launch(*arguments: Argument, **changes: Any) -> Launch:
    """Return a launch of the plan's program; every field can be another."""
    launch = Launch(
        program=NAMES["cubin"],
        grid=(24200, 2, 1),
        threads=128,
        shared_bytes=12288,
        arguments=arguments,
    )
    return msgspec.structs.replace(launch, **changes)


def make_plan(**changes: Any) -> LaunchPlan:
    """Return the plan; every field can be another."""
    output = ALEXNET_CONV1.output_shape(BATCH)
    sizes = {
        "x": BATCH * 3 * 224 * 224,
        "weight": 96 * 363,
        "bias": 96,
    }
    inside = View(
        buffer=PADDED, dtype="float32", shape=(BATCH, 3, 224, 224), strides=STORED, offset=2 * 228 + 2
    )
    plan = LaunchPlan(
        schema="kernelgate.plan/2",
        operation=ALEXNET_CONV1.name,
        kernel_sha256="f" * 64,
        target="sm_89",
        card="sm_89",
        triton="3.6.0",
        batch=BATCH,
        config=KernelConfig(blocks={"BLOCK_M": 32}, num_warps=4, num_stages=2),
        form=CallForm(),
        buffers=(
            *(Buffer(role=role, bytes=4 * count) for role, count in sizes.items()),
            Buffer(role="temporary", bytes=4 * 96 * 384),
            Buffer(role="temporary", bytes=4 * BATCH * STORED[0]),
            Buffer(role="temporary", bytes=4 * BATCH * 96 * 55 * 55),
            Buffer(role="constant", bytes=64, content=NAMES["bin"]),
        ),
        programs=(
            Program(
                kernel="compute",
                cubin=NAMES["cubin"],
                ptx=NAMES["ptx"],
                ttir=NAMES["ttir"],
                num_warps=4,
                num_stages=2,
                log="Used 64 registers",
            ),
        ),
        steps=(
            Fill(target=_dense(PACKED, 96, 384), value=0),
            Copy(
                target=View(buffer=PACKED, dtype="float32", shape=(96, 363), strides=(384, 1)),
                source=_dense(WEIGHT, 96, 363),
            ),
            Fill(target=_dense(PADDED, *PADDED_SHAPE), value=0.0),
            Copy(target=inside, source=_dense(X, BATCH, 3, 224, 224)),
            make_launch(
                *(Pointer(buffer=buffer) for buffer in (PADDED, PACKED, BIAS, TABLE, OUT)),
                Scalar(kind="i32", bits=BATCH),
                Null(),
            ),
        ),
        answer=_dense(OUT, *output),
    )
    return msgspec.structs.replace(plan, **changes)


def with_step(plan: LaunchPlan, place: int, **changes: Any) -> LaunchPlan:
    """Return the plan with some fields of one step changed."""
    steps = list(plan.steps)
    steps[place] = msgspec.structs.replace(steps[place], **changes)
    return msgspec.structs.replace(plan, steps=tuple(steps))


def with_buffer(plan: LaunchPlan, place: int, **changes: Any) -> LaunchPlan:
    """Return the plan with some fields of one buffer changed."""
    buffers = list(plan.buffers)
    buffers[place] = msgspec.structs.replace(buffers[place], **changes)
    return msgspec.structs.replace(plan, buffers=tuple(buffers))


def without_steps(plan: LaunchPlan, *places: int) -> LaunchPlan:
    """Return the plan without some of its steps."""
    kept = tuple(step for place, step in enumerate(plan.steps) if place not in places)
    return msgspec.structs.replace(plan, steps=kept)


def write_plan(plan: LaunchPlan, folder: Path) -> Path:
    """Write the plan as a recorder does, with what it names beside it, and return its file."""
    for kind, content in CONTENTS.items():
        (folder / f"{NAMES[kind]}.{kind}").write_bytes(content)
    file = folder / "plan.json"
    file.write_bytes(msgspec.json.encode(plan))
    return file
