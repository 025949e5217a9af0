"""Mode `interpret`: the real wrapper under Triton's interpreter, its products as tensor cores form them."""

import torch

from kernelgate import protocol
from kernelgate.execution.cards import ADA
from kernelgate.operations.operation import find_operation
from kernelgate.worker.fake_cuda.torch_cuda import pretend_cuda
from kernelgate.worker.fake_cuda.triton_driver import StubDriver, activate
from kernelgate.worker.interpret.arithmetic import compute_as_gpu
from kernelgate.worker.interpret.inline_ptx import interpret_ptx
from kernelgate.worker.interpret.site import InterpretedSite
from kernelgate.worker.model.calls import ModelCalls
from kernelgate.worker.model.kernel_model import KernelModel


class InterpretMode:
    """Runs programs of the kernel on the CPU."""

    def __init__(self) -> None:
        self.kernel_file = ""
        torch.set_num_threads(1)
        pretend_cuda(ADA)
        activate(StubDriver(ADA, lambda *_: None))
        compute_as_gpu()
        interpret_ptx()

    def is_crowded(self) -> bool:
        """Return False: no GPU's memory is used here."""
        return False

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded, run or sent."""
        if isinstance(request, protocol.Load) and request.file is not None:
            self.kernel_file = request.file
            operation, kernel = find_operation(request.operation), KernelModel(request.file)
            self.trials = ModelCalls(operation, kernel, InterpretedSite(operation))
            return protocol.Loaded(autotuned=kernel.describe())
        if isinstance(request, protocol.RunOne):
            return self.trials.run(request)
        if isinstance(request, protocol.SendRun):
            return self.trials.send(request)
        raise ValueError(f"mode interpret does not answer {type(request).__name__}")
