"""A launch plan: what one call of a kernel file does on a GPU, as data.

Buffers, moves of data between them, launches of compiled programs with known arguments. The recorder writes
it where there is no GPU; whoever executes it needs no Python of the kernel file. Machine code, PTX and TTIR
lie beside it, each named by its sha256.
"""

import enum
from typing import Annotated, Literal

import msgspec

from kernelgate.operations.declaration.kernel_config import KernelConfig

MAX_GRID = (2**31 - 1, 65535, 65535)
"""CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"."""

MAX_STEPS = 10_000
MAX_RANK = 8

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Place = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Extent = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]

DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}
"""The element types of a plan, by PyTorch's names, and their sizes."""

SCALAR_BYTES = {
    "i1": 1,
    "i8": 1,
    "i16": 2,
    "i32": 4,
    "i64": 8,
    "u1": 1,
    "u8": 1,
    "u16": 2,
    "u32": 4,
    "u64": 8,
    "fp16": 2,
    "bf16": 2,
    "fp32": 4,
    "fp64": 8,
}
"""The types of scalar arguments, by Triton's names, and their sizes as parameters of a kernel."""

WIDENING = {
    "bool": {"uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"},
    "uint8": {"int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"},
    "int8": {"int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"},
    "int16": {"int32", "int64", "float32", "float64"},
    "int32": {"int64", "float64"},
    "float16": {"float32", "float64"},
    "bfloat16": {"float32", "float64"},
    "float32": {"float64"},
}
"""Which type holds every value of which: a cast that loses nothing moves data, any other computes."""


class Unplanned(enum.StrEnum):
    """Why a call has no plan: the reason codes that a recorder may name, and no other."""

    DELEGATION = "delegation"
    COMPUTES_OUTSIDE = "computes-outside"
    READS_VALUES = "reads-values"
    INPUTS_INTACT = "inputs-intact"
    EARLIER_ANSWERS = "earlier-answers"
    UNKNOWN_PARAMETER = "unknown-parameter"
    UNKNOWN_MEMORY = "unknown-memory"
    TOO_MANY_LAUNCHES = "too-many-launches"
    UNPLANNABLE = "unplannable"
    STREAM_ORDER = "stream-order"
    RAISES = "raises"
    CALLS_DIFFER = "calls-differ"


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


TEMPORARY, CONSTANT = "temporary", "constant"
"""The roles of buffers that no caller gives."""


class Buffer(_Record, frozen=True, kw_only=True):
    """Device memory of its own. An input or a parameter is filled before the call, a constant holds its file.

    What a temporary holds before it is written is nobody's promise.
    """

    role: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    bytes: Annotated[int, msgspec.Meta(ge=0, lt=2**48)]
    content: Sha256 | None = None

    @property
    def is_given(self) -> bool:
        """Whether the caller gives it: it is an input or a parameter of the operation, by its name."""
        return self.role not in (TEMPORARY, CONSTANT)


class View(_Record, frozen=True, kw_only=True):
    """Elements of a buffer: element (i, j) lies `offset` + i * strides[0] + j * strides[1] elements in it."""

    buffer: Place
    dtype: str
    shape: tuple[Place, ...]
    strides: tuple[Place, ...]
    offset: Place = 0


class Fill(_Record, frozen=True, kw_only=True, tag="fill"):
    """Every element of the view becomes the value."""

    target: View
    value: int | float | Literal["nan", "inf", "-inf"]


class Copy(_Record, frozen=True, kw_only=True, tag="copy"):
    """Elements move, index by index; to another type only if it holds all values of this one."""

    target: View
    source: View


class Pointer(_Record, frozen=True, kw_only=True, tag="pointer"):
    """The address `offset` bytes into a buffer."""

    buffer: Place
    offset: Place = 0


class Scalar(_Record, frozen=True, kw_only=True, tag="scalar"):
    """A number, as its `bits` lie in a parameter of that kind, the lowest byte first."""

    kind: str
    bits: int


class Null(_Record, frozen=True, kw_only=True, tag="null"):
    """The null pointer: scratch memory that a program does not use."""


Argument = Pointer | Scalar | Null


class Launch(_Record, frozen=True, kw_only=True, tag="launch"):
    """One launch of a program; `arguments` are its parameters in order, `threads` those of one block."""

    program: Sha256
    grid: tuple[Extent, Extent, Extent]
    threads: Extent
    cluster: tuple[Extent, Extent, Extent] = (1, 1, 1)
    shared_bytes: Place
    cooperative: bool = False
    dependent: bool = False
    arguments: tuple[Argument, ...]


Step = Fill | Copy | Launch


class Program(_Record, frozen=True, kw_only=True):
    """A compiled kernel: machine code, and what it was made from; `log` is what the assembler said of it."""

    kernel: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    cubin: Sha256
    ptx: Sha256
    ttir: Sha256
    num_warps: Annotated[int, msgspec.Meta(ge=1, le=64)]
    num_stages: int
    log: Annotated[str, msgspec.Meta(max_length=10_000)] = ""


class CallForm(_Record, frozen=True, kw_only=True):
    """How forward is called: how inputs lie in memory, and in which of the ways users call a model.

    Parameters that are `absent` are None. `call` counts calls of one model from 0, and `changed` is what has
    changed since the one before: a tensor by its name, in place, by new memory (`weight-data`), or by a new
    parameter (`weight-parameter`); or that another `model`, or another `batch`, was called. `classes` is what
    the model is made with, None for its default; `within` is what the call is made in.
    """

    layout: str = "contiguous"
    absent: tuple[str, ...] = ()
    training: bool = True
    gradients: bool = False
    call: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    changed: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    classes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    within: Literal["", "inference", "autocast", "thread", "gradient-of-inputs", "hook"] = ""


class LaunchPlan(_Record, frozen=True, kw_only=True):
    """One call of a kernel file at one batch in one configuration, for one target.

    `target` is the GPU that code is made for, as `sm_89`; `card` the one that it is assembled for. `answer`
    is what forward returned.
    """

    schema: Literal["kernelgate.plan/2"]
    operation: str
    kernel_sha256: Sha256
    target: Annotated[str, msgspec.Meta(pattern="^sm_[0-9]{2,3}$")]
    card: Annotated[str, msgspec.Meta(pattern="^sm_[0-9]{2,3}$")]
    triton: str
    batch: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    config: KernelConfig | None
    form: CallForm
    buffers: tuple[Buffer, ...]
    programs: tuple[Program, ...]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=MAX_STEPS)]
    answer: View

    @property
    def launches(self) -> tuple[Launch, ...]:
        """The launches, in order."""
        return tuple(step for step in self.steps if isinstance(step, Launch))

    def program_of(self, launch: Launch) -> Program:
        """Return the program that a launch runs; raises StopIteration in a plan that was not checked."""
        return next(each for each in self.programs if each.cubin == launch.program)
