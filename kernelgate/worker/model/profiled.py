"""What a profiler is started on: one call of a model with each configuration asked for, and nothing else.

`python -m kernelgate.worker.model.profiled ORDER`, where ORDER is what `encode_profile_order` returns.

It is not confined. As it starts, Nsight Compute loads a library into it, which talks to the profiler by
sockets (its option `--port`) and may have threads of its own by the time that this file runs. The sandbox
closes sockets, and binds one thread alone: a kernel file could have its work done by the others.
"""

import resource
import sys

import torch

from kernelgate.operations.operation import find_operation
from kernelgate.profile_order import ProfileOrder, decode_profile_order
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.target.assembler import take_ada_path


def call_each(order: ProfileOrder) -> None:
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
    call_each(decode_profile_order(sys.argv[1]))
