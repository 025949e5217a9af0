"""The index of a plan book: which call of the kernel file has which launch plan, or why it has none.

The plans and what they name lie beside it, each file called by its sha256.
"""

from typing import Annotated, Literal, NamedTuple

import msgspec

from kernelgate.execution.cards import Card
from kernelgate.execution.contents import Held
from kernelgate.execution.launch_plan import CallForm, Sha256, Unplanned
from kernelgate.protocol import Autotuned

INDEX_NAME = "book.json"
MAX_CALLS = 4000
"""A judgement asks for some hundreds on each GPU."""

REASONS = frozenset([*(each.value for each in Unplanned), "form"])
"""What a recorder may say of a call that has no plan."""

Text = Annotated[str, msgspec.Meta(max_length=10_000)]


class CallKey(NamedTuple):
    """What a plan is asked for: the GPU's name, the batch, the pinned configuration, the form of the call."""

    gpu: str
    batch: int
    pin: int | None
    form: CallForm

    def __str__(self) -> str:
        return f"N = {self.batch}, configuration {self.pin}, {self.form.layout}, on {self.gpu}"


class BookedCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the recorder said of one call: the digest of its plan, or why there is none.

    `held` says of each buffer of the plan what earlier calls left there. `refused` says that the
    configuration is not for this call. `unplanned` is the reason code where no plan can say what the file
    does, and `detail` what was seen.
    """

    gpu: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    batch: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    pin: Annotated[int, msgspec.Meta(ge=0, lt=1000)] | None
    form: CallForm
    plan: Sha256 | None = None
    held: tuple[Held, ...] = ()
    refused: Text = ""
    unplanned: str = ""
    detail: Text = ""

    def __post_init__(self) -> None:
        given = [self.plan is not None, bool(self.refused), bool(self.unplanned)]
        if sum(given) != 1:
            raise ValueError("a call has a plan, or is refused, or cannot be planned")
        if self.unplanned and self.unplanned not in REASONS:
            raise ValueError(f"no reason of a recorder: {self.unplanned!r:.80}")
        if self.held and self.plan is None:
            raise ValueError("a call without a plan has no buffers")

    @property
    def key(self) -> CallKey:
        """What was asked."""
        return CallKey(self.gpu, self.batch, self.pin, self.form)


class BookIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All calls of one kernel file that were recorded; `entropy` is what seeded the judgement's draws.

    `cards` are the properties that the file was shown of each GPU, `autotuned` its configurations.
    """

    schema: Literal["kernelgate.plans/1"] = "kernelgate.plans/1"
    operation: str
    kernel_sha256: Sha256
    triton: str
    entropy: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    cards: Annotated[tuple[Card, ...], msgspec.Meta(max_length=100)]
    autotuned: Annotated[tuple[Autotuned, ...], msgspec.Meta(max_length=100)]
    calls: Annotated[tuple[BookedCall, ...], msgspec.Meta(max_length=MAX_CALLS)]

    def __post_init__(self) -> None:
        names = [card.name for card in self.cards]
        if len(set(names)) < len(names):
            raise ValueError("two cards of one name")
        keys = {call.key for call in self.calls}
        if len(keys) < len(self.calls):
            raise ValueError("two entries for one call")
        if unknown := {call.gpu for call in self.calls} - set(names):
            raise ValueError(f"a call is for {min(unknown)!r}, of which there is no card")


SCHEMA = BookIndex.__struct_defaults__[0]
