"""A judge of a batch, a module to start: it reads orders, and writes their answers."""

import contextlib
import sys
from typing import BinaryIO

import msgspec

from kernelgate.batch.order import Order, carry_out
from kernelgate.batch.side_by_side.messages import Answer, Ended, Said
from kernelgate.judging.watch import Silent
from kernelgate.pipeline.stage import StageName, StageResult
from kernelgate.sandbox.ending import end_with_engine
from kernelgate.sandbox.peers import join_batch


class Telling(Silent):
    """Tells the engine of each stage that has ended."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers

    def ended(self, stage: StageName, result: StageResult) -> None:
        """Say how it ended."""
        self.say(Ended(stage=stage, result=msgspec.structs.replace(result, result=None)))

    def say(self, said: Said) -> None:
        """Write a line."""
        self._answers.write(msgspec.json.encode(said) + b"\n")
        self._answers.flush()


def judge_orders() -> None:
    """Answer each order by its result, until the engine hangs up."""
    telling = Telling(sys.stdout.buffer)
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin.buffer:
            order = msgspec.json.decode(line, type=Order)
            telling.say(Answer(carry_out(order, telling)))


if __name__ == "__main__":
    end_with_engine()
    join_batch()
    judge_orders()
