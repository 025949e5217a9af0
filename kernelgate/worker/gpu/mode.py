"""Mode `gpu`: call the model on an NVIDIA GPU, as the judge asks."""

import torch

from kernelgate import protocol
from kernelgate.operations.operation import find_operation
from kernelgate.worker.gpu.site import GpuSite
from kernelgate.worker.model.calls import ModelCalls
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.target.assembler import take_ada_path
from kernelgate.worker.tensors.gpu_share import GpuShare
from kernelgate.worker.watch.graphs import Graphs


class GpuMode:
    """Answers with what the file computes on the GPU."""

    def __init__(self) -> None:
        torch.set_num_threads(2)  # judges run side by side; the work is the GPU's
        self.kernel_file = ""
        self.share = GpuShare()
        self.calls: ModelCalls | None = None

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded, run or written."""
        if isinstance(request, protocol.Load):
            return self._load(request)
        self.share.take()
        if isinstance(request, protocol.RunOne):
            return self._calls().run(request)
        if isinstance(request, protocol.SendRun):
            return self._calls().send(request)
        raise ValueError(f"mode gpu does not answer {type(request).__name__}")

    def is_crowded(self) -> bool:
        """Return whether the GPU has not as much left as this worker may take."""
        return self.share.is_crowded()

    def _load(self, request: protocol.Load) -> protocol.Loaded:
        # The GPU is not touched yet: somebody may be timed on it.
        self.operation = find_operation(request.operation)
        self.share.promise(request.gpu_memory_bytes)
        self.kernel_file = request.file
        if request.ada_on is not None:
            take_ada_path(request.ada_on)
        self.graphs = Graphs()
        self.graphs.follow()
        self.kernel = KernelModel(request.file)
        return protocol.Loaded(autotuned=self.kernel.describe())

    def _calls(self) -> ModelCalls:
        if self.calls is None:
            self.calls = ModelCalls(self.operation, self.kernel, GpuSite(self.operation, self.graphs))
        return self.calls
