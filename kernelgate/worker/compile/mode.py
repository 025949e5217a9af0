"""Mode `compile`: run the model on tensors that look like CUDA's, and hand out what it would launch."""

import itertools
from pathlib import Path
from typing import Any

import torch
from triton import knobs
from triton.backends.nvidia import compiler as backend
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.errors import OutOfResources, PTXASError

from kernelgate import protocol
from kernelgate.operations.operation import find_operation
from kernelgate.worker.compile.memo import remember_back_half
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu, dress_model
from kernelgate.worker.fake_cuda.torch_cuda import pretend_cuda
from kernelgate.worker.fake_cuda.triton_driver import ADA, StubDriver, activate
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.target.assembler import Assembler

TOLERATED = (OutOfResources, CompileTimeAssertionFailure, PTXASError)
"""What Triton's autotuner takes for a configuration to leave out; of anything else the first call dies."""


class CompileMode:
    """Compiles every launch of one call of the model, with nothing run."""

    def __init__(self) -> None:
        self.kernel_file = ""
        self.launches: list[protocol.RecordedLaunch] = []
        self.assembler_said: list[str] = []
        self.logs: dict[bytes, str] = {}
        self.numbers = itertools.count()
        knobs.nvidia.dump_ptxas_log = True
        knobs.compilation.always_compile = True  # what is found on disk comes without the assembler's log
        # The backend prints the log. Heard here, it needs no stdout, which belongs to the kernel file.
        backend.print = self.assembler_said.append
        pretend_cuda(ADA)
        remember_back_half()
        self.assembler = Assembler()

    def is_crowded(self) -> bool:
        """Return False: no GPU's memory is used here."""
        return False

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded or compiled."""
        if isinstance(request, protocol.Load) and request.file is not None:
            self.kernel_file = request.file
            self.operation = find_operation(request.operation)
            self.kernel = KernelModel(request.file)
            dress_model(self.kernel.model)
            return protocol.Loaded(autotuned=self.kernel.describe())
        if isinstance(request, protocol.CompileOne):
            return self._compile(request)
        raise ValueError(f"mode compile does not answer {type(request).__name__}")

    def _compile(self, request: protocol.CompileOne) -> protocol.Compiled:
        activate(StubDriver(request.capability, self._note, request.card))
        self.assembler.card = request.card
        self.launches.clear()
        self.x = torch.empty(self.operation.input_shape(request.batch)).as_subclass(CudaLookalike)
        try:
            with PretendedGpu(), self.kernel.pinned(request.pin):
                self.kernel.model(self.x)
        except TOLERATED as error:
            return protocol.Compiled(launches=(), refused=f"{type(error).__name__}: {str(error)[:2000]}")
        return protocol.Compiled(launches=tuple(self.launches))

    def _note(
        self, source: Any, metadata: Any, grid: tuple[int, int, int], arguments: tuple[Any, ...]
    ) -> None:
        asm = next(
            kernel.asm
            for caches in source.fn.device_caches.values()
            for kernel in caches[0].values()
            if kernel.hash == metadata.hash
        )
        cubin = asm["cubin"]
        file = Path(f"launch-{next(self.numbers)}").absolute()
        file.with_suffix(".cubin").write_bytes(cubin)
        for kind in ("ptx", "ttir"):
            file.with_suffix(f".{kind}").write_text(str(asm[kind]), encoding="utf-8")
        self.launches.append(
            protocol.RecordedLaunch(
                kernel=metadata.name,
                grid=grid,
                arguments=(*map(self._describe_argument, arguments), *_describe_launch(metadata)),
                num_warps=metadata.num_warps,
                num_stages=metadata.num_stages,
                shared_bytes=metadata.shared,
                cubin_file=str(file.with_suffix(".cubin")),
                ptx_file=str(file.with_suffix(".ptx")),
                ttir_file=str(file.with_suffix(".ttir")),
                ptxas_log=self._log_of(cubin),
            )
        )

    def _log_of(self, cubin: bytes) -> str:
        """Return what the assembler said of a program, which it says only when it assembles it."""
        said = "\n".join(self.assembler_said)
        self.assembler_said.clear()
        facts = [line for line in said.splitlines() if "ptxas info" in line or "spill" in line]
        return self.logs.setdefault(cubin, "\n".join(facts))

    def _describe_argument(self, argument: Any) -> str:
        """Return which tensor, or which value; addresses differ from run to run, roles do not."""
        if not isinstance(argument, torch.Tensor):
            return repr(argument)
        conv1 = self.kernel.conv1
        known = {"x": self.x, "weight": conv1.get_parameter("weight"), "bias": conv1.get_parameter("bias")}
        storage = argument.untyped_storage().data_ptr()
        role = next((n for n, t in known.items() if t.untyped_storage().data_ptr() == storage), "other")
        return (
            f"{role}+{argument.storage_offset()} {argument.dtype} {tuple(argument.shape)} {argument.stride()}"
        )


def _describe_launch(metadata: Any) -> tuple[str, ...]:
    """Return how a launch is made, beside what it runs: two launches of one program may differ in it."""
    names = ("num_warps", "num_ctas", "shared", "launch_cooperative_grid", "launch_pdl")
    return tuple(f"{name}={getattr(metadata, name, None)}" for name in names)
