"""What a judge process says of an order, line by line."""

import msgspec

from kernelgate.batch.result import Result
from kernelgate.pipeline.stage import StageName, StageResult


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A stage of the order has ended; the stage's own record stays where it was made."""

    stage: StageName
    result: StageResult


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The last word on an order."""

    result: Result | None


Said = Ended | Answer
