"""What a profiler is started on: one call of a model with each configuration asked for, and nothing else.

`python -m kernelgate.child.profiled REQUEST`, where the request is a `wire.Profile` in JSON.
"""

import resource
import sys

import torch

from kernelgate import wire
from kernelgate.child.code_path import take_ada_path
from kernelgate.child.kernel_file import KernelModel
from kernelgate.operations import find_operation


def call_each(request: wire.Profile) -> None:
    """Import the kernel file, and call its model with each of the configurations, in their order."""
    if request.ada_on is not None:
        take_ada_path(request.ada_on)
    kernel = KernelModel(request.file)
    kernel.model.cuda()
    x = torch.randn(find_operation(request.operation).input_shape(request.batch), device="cuda")
    with torch.no_grad():
        for pin in request.pins:
            with kernel.pinned(pin):
                kernel.model(x)
    torch.cuda.synchronize()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    call_each(wire.decode_profile(sys.argv[1]))
