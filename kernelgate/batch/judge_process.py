"""A judge of a batch, which reads orders and writes their answers.

`python -m kernelgate.batch.judge_process CORE...` names the cores that it may use.
"""

import contextlib
import sys

import msgspec

from kernelgate.batch.order import Order, carry_out
from kernelgate.batch.processes import Answer
from kernelgate.judging.watch import Silent
from kernelgate.machine.cores import keep_to
from kernelgate.machine.peers import join_batch
from kernelgate.sandbox.ending import end_with_engine, ending_in_order


def judge_orders() -> None:
    """Answer each order by its result, until the engine hangs up."""
    orders, answers = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):
        for line in orders:
            order = msgspec.json.decode(line, type=Order)
            answers.write(msgspec.json.encode(Answer(carry_out(order, Silent()))) + b"\n")
            answers.flush()


if __name__ == "__main__":
    end_with_engine()
    join_batch()
    keep_to([int(core) for core in sys.argv[1:]])
    with ending_in_order(is_told=False):  # the engine says it
        judge_orders()
