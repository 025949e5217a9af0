"""What the judge and a worker say to each other: one JSON line a message, tensors as files beside it.

Every message is decoded into one of these records; whatever else comes over the pipe is a protocol fault.
"""

import enum
from typing import Annotated, Literal

import msgspec

from kernelgate.execution.cards import ADA, Card
from kernelgate.execution.contents import Held
from kernelgate.execution.launch_plan import MAX_STEPS, CallForm, Sha256, Unplanned
from kernelgate.execution.observed.decisions import SeenDecision
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations import Declared
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe

MAX_MESSAGE_BYTES = 4 * 2**20

Mode = Literal["record", "interpret", "execute", "use"]


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    pass


class Start(_Message, frozen=True):
    """Become a worker: its folder, all of its environment, and what else it may read, write or use."""

    folder: str
    environment: dict[str, str]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    uses_gpu: bool = False


class Load(_Message, frozen=True):
    """Import a kernel file and make its model.

    Without a GPU host code sees `card`, `later_s` from now. With `ada_on` mode `use` runs sm_89's PTX on it.
    """

    operation: Declared
    file: str
    gpu_memory_bytes: int
    later_s: int = 0
    ada_on: int | None = None
    card: Card = ADA


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of a launch plan, and the steps of it that only the first call on new parameters makes."""

    plan: str
    prepared: tuple[int, ...] = ()


class LoadPlans(_Message, frozen=True):
    """Run launch plans; the calls that are timed are of these, one a configuration, or the vendor's."""

    operation: Declared
    gpu_memory_bytes: int
    timed: Annotated[tuple[PlannedCall, ...], msgspec.Meta(min_length=1)] | None = None


class Record(_Message, frozen=True, kw_only=True):
    """Write the launch plan of a call to `folder`: `plan.json`, and beside it what it names by its sha256.

    Without a `pin` the autotuner tries all of its configurations, and takes any. Code is for `card`, machine
    code for capability `assembled_for` if given. Without `with_log` it may lack what the assembler says.
    """

    batch: int
    pin: int | None
    card: Card
    assembled_for: int | None = None
    form: CallForm = CallForm()
    with_log: bool = True
    folder: str


class UseOne(_Message, frozen=True):
    """Call the model on the tensors of a recipe in a `way` of users, and keep its answer until it is sent.

    `model` counts models made of the same file. `same_storage` writes the contents into the last call's
    inputs, which must have had the same shape and layout.
    """

    recipe: Recipe
    layout: str
    way: Way = Way.PLAINLY
    model: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    same_storage: bool = False


class NameLaunches(_Message, frozen=True):
    """Call the model on noise at this batch, so that autotuners choose; name what one more call launches."""

    batch: int


class RunPlan(_Message, frozen=True):
    """Run a launch plan, a file of the judge's, on the tensors of a recipe, and keep its answer.

    Tensors lie in memory as `layout` says, and what is unwritten holds `poison_bits`. Mode `interpret` alone
    runs so many `programs` of each launch of the `sampled` kernels, all programs `backwards`, and tells
    what all of them together write, if that is asked for (`covers`). Of launches that take longer than
    `seconds`, and that no other reads, it runs fewer programs.
    """

    plan: str
    recipe: Recipe
    layout: str
    poison_bits: int
    programs: int = 0
    sampled: tuple[str, ...] = ()
    backwards: bool = False
    covers: bool = False
    seconds: float | None = None


class SendRun(_Message, frozen=True):
    """Write what the last call answered: float32 values to `out`, their flat offsets, int64, to `places`.

    `items` choose; without them, and in mode `interpret`, it is every value that was computed.
    """

    out: str
    places: str
    items: tuple[int, ...] = ()


class Prepare(_Message, frozen=True):
    """Make one call at this batch with each configuration, so that what cannot run has failed.

    Nothing is chosen in the answer as long as there is a choice.
    """

    batch: int


class WarmUp(_Message, frozen=True):
    """Time every configuration at this batch by turns, with the GPU to itself, and choose the fastest."""

    batch: int
    rounds: Annotated[int, msgspec.Meta(ge=1)] = 3


class PlaceTensors(_Message, frozen=True):
    """Allocate on the GPU what the next timed calls need, parameters from a seed; make one of them, untimed.

    `launches` is how many calls will be timed in one request.
    """

    batch: int
    seed: int
    launches: int
    flush_bytes: int
    pad_bytes: int


class ReleaseTensors(_Message, frozen=True):
    """Give all GPU memory of the timed calls back to the driver."""


class MoveCode(_Message, frozen=True):
    """Load the machine code anew and make one call, untimed: the first after a switch is slow."""


class TimeLaunches(_Message, frozen=True):
    """Time calls, each after a flush of the L2 cache, on contents made from that seed and those after it."""

    seed: int
    launches: int


class SendAnswers(_Message, frozen=True):
    """Write to `out`, for each call timed last, the elements of its output at places drawn from a seed."""

    seed: int
    count: int
    out: str


OfAnswers = Load | LoadPlans | Record | UseOne | NameLaunches | RunPlan | SendRun
OfTimes = Prepare | WarmUp | PlaceTensors | ReleaseTensors | MoveCode | TimeLaunches | SendAnswers
Request = OfAnswers | OfTimes


class Autotuned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An autotuned kernel of the file and its configurations, in the order of the file."""

    kernel: str
    configs: tuple[KernelConfig, ...]


class Loaded(_Message, frozen=True):
    """The file is imported and its model stands; `asks_time` says that it looked at a clock by then."""

    autotuned: tuple[Autotuned, ...]
    asks_time: bool = False


class Recorded(_Message, frozen=True):
    """The plan of one call, and what earlier calls left in its buffers (`held`), or why there is none.

    `refused` says why this configuration is not for this call, `returned` what forward returned that is no
    answer, `unplanned` is the code of what no plan can say, at `line` of the file.
    """

    plan_file: str = ""
    held: tuple[Held, ...] = ()
    refused: str = ""
    returned: str = ""
    unplanned: Unplanned | None = None
    detail: str = ""
    line: int = 0


class Ran(_Message, frozen=True):
    """What forward returned, or what its launches wrote.

    `memory` tells of accesses outside the tensors; `earlier_intact` is whether the answers of earlier calls
    are still what they were. `decisions` are those on loaded values, in mode `interpret`;
    `covered` is how many elements of the answer whole grids write, None where that was not asked for or is
    not to be told by their stores alone.
    """

    returned: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    device: str = ""
    contiguous: bool = True
    launches: tuple[SeenLaunch, ...] = ()
    inputs_intact: bool = True
    earlier_intact: bool = True
    memory: tuple[str, ...] = ()
    decisions: tuple[SeenDecision, ...] = ()
    covered: int | None = None


class Launched(_Message, frozen=True):
    """The machine code of each launch of a call, by its sha256, in order."""

    cubins: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=MAX_STEPS)]


class Sent(_Message, frozen=True):
    """How many values were written; `whole` if they are all that was asked for, in order, without offsets."""

    count: Annotated[int, msgspec.Meta(ge=0)]
    whole: bool


class Warm(_Message, frozen=True):
    """Every configuration has run, in `times_ms` at the median if timed; calls are of the `chosen` one."""

    chosen: int | None
    times_ms: tuple[float, ...] = ()


class Done(_Message, frozen=True):
    """It is done."""


class Timed(_Message, frozen=True):
    """Event times of the calls in order, in milliseconds."""

    times_ms: tuple[float, ...]


class FailureKind(enum.StrEnum):
    """What a worker may say of its own failure; the last four are no fault of the file."""

    RAISES = "raises"
    NO_ANSWER = "no-answer"  # programs of a launch do not end
    EXITS = "exits"
    OUT_OF_MEMORY = "out-of-memory"
    OTHER_PARAMETERS = "other-parameters"  # the model's are not those of the operation
    NOT_INTERPRETED = "not-interpreted"  # the interpreter lacks what a kernel needs
    UNTRIED = "untried"  # this mode cannot do what was asked
    CROWDED = "crowded"  # others hold memory of the GPU that the worker was promised
    GATE_FAULT = "gate-fault"  # inputs cannot be made, or a library is missing
    NO_SANDBOX = "no-sandbox"  # the system would not confine the worker, so it imported nothing


class Failed(_Message, frozen=True):
    """The kernel file failed, at `line` of its own, 0 if unknown."""

    kind: FailureKind
    detail: str
    line: int


Response = Loaded | Recorded | Ran | Launched | Sent | Warm | Timed | Done | Failed


def encode(message: msgspec.Struct) -> bytes:
    """Return the message as one line of JSON, without its end."""
    return msgspec.json.encode(message)


decode_request = msgspec.json.Decoder(Request).decode
decode_response = msgspec.json.Decoder(Response).decode
