"""Mode `interpret`: the real wrapper under Triton's interpreter, its products as tensor cores form them."""

import torch

from kernelgate import wire
from kernelgate.child.gpu_arithmetic import compute_as_gpu
from kernelgate.child.inline_ptx import interpret_ptx
from kernelgate.child.interpreted import InterpretedSite
from kernelgate.child.kernel_file import KernelModel
from kernelgate.child.pretended_cuda import pretend_cuda
from kernelgate.child.stub_driver import ADA, StubDriver, activate
from kernelgate.child.trials import Trials
from kernelgate.operations import find_operation


class InterpretMode:
    """Runs programs of the kernel on the CPU."""

    def __init__(self) -> None:
        self.kernel_file = ""
        torch.set_num_threads(1)
        pretend_cuda(ADA)
        activate(StubDriver(89, lambda *_: None))
        compute_as_gpu()
        interpret_ptx()

    def is_crowded(self) -> bool:
        """Return False: no GPU's memory is used here."""
        return False

    def answer(self, request: wire.Request) -> wire.Response:
        """Return what was loaded, run or sent."""
        if isinstance(request, wire.Load) and request.file is not None:
            self.kernel_file = request.file
            operation, kernel = find_operation(request.operation), KernelModel(request.file)
            self.trials = Trials(operation, kernel, InterpretedSite(operation))
            return wire.Loaded(autotuned=kernel.describe())
        if isinstance(request, wire.RunOne):
            return self.trials.run(request)
        if isinstance(request, wire.SendRun):
            return self.trials.send(request)
        raise ValueError(f"mode interpret does not answer {type(request).__name__}")
