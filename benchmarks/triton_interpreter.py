"""Runs a kernel file on one image in Triton's own interpreter.

`python -m benchmarks.triton_interpreter FILE` prints the seconds of one core that the call took, in the
file's first configuration.
"""

import os
import sys
import time
from collections.abc import Sequence

os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported, whose own helpers are fixed then

import torch

from kernelgate.execution.cards import ADA
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu, dress_model
from kernelgate.worker.fake_cuda.torch_cuda import pretend_cuda
from kernelgate.worker.model.kernel_model import KernelModel


def run_image(file: str) -> float:
    """Return the seconds of one core that a call on one image takes."""
    torch.set_num_threads(1)
    pretend_cuda(ADA)
    kernel = KernelModel(file, ALEXNET_CONV1)
    model = kernel.make_model()
    dress_model(model)
    x = torch.randn(ALEXNET_CONV1.inputs[0].shape_at(1)).as_subclass(CudaLookalike)
    for tuner in kernel.autotuners:
        tuner.configs = tuner.configs[:1]  # of one, no autotuner asks for times
    with PretendedGpu(), torch.no_grad():
        began = time.process_time()
        model(x)
        return time.process_time() - began


def main(arguments: Sequence[str]) -> int:
    """Print the seconds."""
    (file,) = arguments
    print(run_image(file))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
