"""Plan books as a fork's job may hand them over: a right one, and one that is forged for another file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.execution.cards import ADA
from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.execution.plan_files import PLAN_NAME
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.plan_book.index import INDEX_NAME, BookedCall, BookIndex
from kernelgate.protocol import Autotuned
from tests.selftest.support.made_up_plans import CONTENTS, NAMES, make_plan

KERNEL, TRITON = "f" * 64, "3.6.0"
CONFIG = KernelConfig(blocks={"BLOCK_M": 32}, num_warps=4, num_stages=2)


def write_book(folder: Path, plan: LaunchPlan | None = None, **changes: Any) -> Path:
    """Write a book of one plan, whose index can have any other field, and return its folder."""
    folder.mkdir(exist_ok=True)
    for kind, content in CONTENTS.items():
        (folder / f"{NAMES[kind]}.{kind}").write_bytes(content)
    plan = plan or make_plan()
    text = msgspec.json.encode(plan)
    sha256 = hashlib.sha256(text).hexdigest()
    (folder / f"{sha256}.{PLAN_NAME}").write_bytes(text)
    call = make_call(plan=sha256, held=((),) * len(plan.buffers))
    index = BookIndex(
        operation="alexnet_conv1",
        kernel_sha256=KERNEL,
        triton=TRITON,
        entropy=7,
        cards=(ADA,),
        autotuned=(Autotuned(kernel="compute", configs=(CONFIG,)),),
        calls=(call,),
    )
    write_index(folder, msgspec.to_builtins(index) | changes)
    return folder


def make_call(**changes: Any) -> BookedCall:
    """Return the entry of the plan that `make_plan` gives, with any other field."""
    plan = make_plan()
    said: dict[str, Any] = {"gpu": ADA.name, "batch": plan.batch, "pin": 0, "form": plan.form}
    return BookedCall(**said | changes)


def write_index(folder: Path, index: Any) -> None:
    """Write whatever is to stand in the index."""
    (folder / INDEX_NAME).write_text(json.dumps(index), encoding="utf-8")


def read_index(folder: Path) -> dict[str, Any]:
    """Return what stands in the index."""
    index: dict[str, Any] = json.loads((folder / INDEX_NAME).read_bytes())
    return index


def forge_for(folder: Path, kernel_sha256: str) -> None:
    """Make the book one of another kernel file, as whoever wrote it can."""
    index = read_index(folder)
    names = {}
    for file in sorted(folder.glob(f"*.{PLAN_NAME}")):
        plan = json.loads(file.read_bytes()) | {"kernel_sha256": kernel_sha256}
        text = json.dumps(plan).encode()
        names[file.name.partition(".")[0]] = name = hashlib.sha256(text).hexdigest()
        file.unlink()
        (folder / f"{name}.{PLAN_NAME}").write_bytes(text)
    calls = [call | {"plan": names.get(call["plan"])} for call in index["calls"]]
    write_index(folder, index | {"kernel_sha256": kernel_sha256, "calls": calls})
