"""Mode `use`: call the kernel file on an NVIDIA GPU as any script would, with nothing of it watched."""

from functools import partial

import torch

from kernelgate import protocol
from kernelgate.operations import find_operation
from kernelgate.worker.model.kernel_module import import_file
from kernelgate.worker.target.assembler import take_ada_path
from kernelgate.worker.tensors.gpu_share import GpuShare
from kernelgate.worker.use.calls import ModelCalls
from kernelgate.worker.use.launches import name_launches


class UseMode:
    """Answers with what the file itself computes on the GPU."""

    def __init__(self) -> None:
        torch.set_num_threads(2)  # judges run side by side; the work is the GPU's
        self.kernel_file = ""
        self.share = GpuShare()

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded, called or written."""
        if isinstance(request, protocol.Load):
            return self._load(request)
        self.share.take()
        if isinstance(request, protocol.UseOne):
            return self.calls.run(request)
        if isinstance(request, protocol.NameLaunches):
            return protocol.Launched(cubins=name_launches(partial(self.calls.call_on_noise, request.batch)))
        if isinstance(request, protocol.SendRun):
            return self.calls.send(request)
        raise ValueError(f"mode use does not answer {type(request).__name__}")

    def is_crowded(self) -> bool:
        """Return whether the GPU has not as much left as this worker may take."""
        return self.share.is_crowded()

    def _load(self, request: protocol.Load) -> protocol.Loaded:
        # The GPU is not touched yet: somebody may be timed on it.
        self.kernel_file = request.file
        self.share.promise(request.gpu_memory_bytes)
        if request.ada_on is not None:
            take_ada_path(request.ada_on)
        self.calls = ModelCalls(find_operation(request.operation), import_file(request.file))
        return protocol.Loaded(autotuned=())
