"""What a profiler is started on: one call of each launch plan asked for, and nothing else.

`python -m kernelgate.worker.execute.profiled ORDER`, where ORDER is what `encode_profile_order` returns. It
begins when it is told so. No kernel file is imported here, so that nothing of it runs unconfined beside the
profiler.
"""

import resource
import sys

import torch

from kernelgate import protocol
from kernelgate.operations import find_operation
from kernelgate.profile_order import GO, ProfileOrder, decode_profile_order
from kernelgate.worker.execute.arms import PlanArm


def call_each(order: ProfileOrder) -> None:
    """Make one whole call of each plan, in their order, on noise."""
    operation = find_operation(order.operation)
    tensors = {
        each.name: torch.randn(each.shape_at(order.batch), device="cuda") for each in operation.arguments
    }
    arm = PlanArm([protocol.PlannedCall(plan=plan) for plan in order.plans])
    for number in range(len(order.plans)):
        arm.choose(number)
        arm.place(tensors, 1)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = decode_profile_order(sys.argv[1])
    if sys.stdin.buffer.readline() == GO:  # else the judge is gone
        call_each(asked)
