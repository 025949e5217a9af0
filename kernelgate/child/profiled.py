"""What a profiler is started on: one call of a model with each configuration asked for, and nothing else.

`python -m kernelgate.child.profiled ORDER`, which is an argument of `profile_order.encode_order`.
"""

import resource
import sys

import torch

from kernelgate.child.code_path import take_ada_path
from kernelgate.child.kernel_file import KernelModel
from kernelgate.operations import find_operation
from kernelgate.profile_order import Order, decode_order


def call_each(order: Order) -> None:
    """Import the kernel file, and call its model with each of the configurations, in their order."""
    if order.ada_on is not None:
        take_ada_path(order.ada_on)
    kernel = KernelModel(order.file)
    kernel.model.cuda()
    x = torch.randn(find_operation(order.operation).input_shape(order.batch), device="cuda")
    with torch.no_grad():
        for pin in order.pins:
            with kernel.pinned(pin):
                kernel.model(x)
    torch.cuda.synchronize()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    call_each(decode_order(sys.argv[1]))
