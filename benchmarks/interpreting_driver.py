"""A Triton driver that has launches interpreted by the gate: their TTIR, on the memory of CPU tensors.

Compilation ends at the TTIR. Within `PretendedGpu` tensors look like a GPU's, and hold what programs stored.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from triton.backends.nvidia.compiler import CUDABackend
from triton.compiler.compiler import AsmDict

from kernelgate.execution.cards import Card
from kernelgate.execution.launch_plan import Scalar
from kernelgate.interpreter import launch as interpreted
from kernelgate.interpreter.launch import LaunchResult, LaunchRun, Pointer, ReadyKernel
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.parser import parse
from kernelgate.worker.fake_cuda.tensors import plain
from kernelgate.worker.fake_cuda.torch_cuda import pretend_cuda
from kernelgate.worker.fake_cuda.triton_driver import StubDriver, activate
from kernelgate.worker.record.arguments import lower_arguments

MAX_THREADS = 1024
OF_LATER_STAGES = {"shared": 0, "tmem_size": 0, "global_scratch_size": 0, "profile_scratch_size": 0}
"""What Triton's runtime asks of a compiled kernel, beside its name."""


Note = Callable[[LaunchResult], None]


def interpret_launches(card: Card, note: Note) -> None:
    """Have every launch from here on interpreted, as for that GPU; `note` gets what each did."""
    pretend_cuda(card)
    CUDABackend.add_stages = _stop_at_ttir
    AsmDict.__missing__ = _say_what_is_missing
    driver = StubDriver(card, lambda *_: None)
    driver.utils = _Kernels(driver.utils)  # type: ignore[assignment]
    driver.launcher_cls = _launcher_that_interprets(note)
    activate(driver)


def _stop_at_ttir(
    self: Any, stages: dict[str, Callable[[Any, Any], Any]], options: Any, _language: Any
) -> None:
    """Enter the first stage of Triton's compiler, and one that hands on its text in place of machine code."""

    def make_ttir(source: Any, metadata: dict[str, Any]) -> Any:
        return self.make_ttir(source, metadata, options, self._parse_arch(options.arch))

    def hand_on(module: Any, metadata: dict[str, Any]) -> bytes:
        text = str(module)
        metadata.update(OF_LATER_STAGES, name=parse(text).kernel.name)
        return text.encode()

    stages.update(ttir=make_ttir, cubin=hand_on)


class NoMachineCodeError(Exception):
    """Text of a stage behind the TTIR was asked for."""


class InterpreterFaultError(Exception):
    """The interpreter broke over a launch."""


def _say_what_is_missing(_: Any, stage: str) -> Any:
    raise NoMachineCodeError(stage)


class _Kernels:
    """Makes kernels ready from their text; all else is answered by the stub's `utils`."""

    def __init__(self, utils: Any) -> None:
        self.get_device_properties = utils.get_device_properties

    def load_binary(self, _name: str, text: bytes, *_: Any) -> tuple[int, ReadyKernel, int, int, int]:
        return 1, _ready(text), 0, 0, MAX_THREADS


@lru_cache(maxsize=64)
def _ready(text: bytes) -> ReadyKernel:
    return ReadyKernel(parse(text.decode()), text.decode())


def _launcher_that_interprets(note: Note) -> type:
    class InterpretingLauncher:
        def __init__(self, source: Any, metadata: Any) -> None:
            self.source, self.metadata = source, metadata

        def __call__(self, x: int, y: int, z: int, *rest: Any) -> None:
            if x * y * z <= 0:
                return
            # Stream, function, packed metadata, launch metadata, two hooks, arguments.
            kernel: ReadyKernel = rest[1]
            given = lower_arguments(self.source.signature.values(), rest[6:], self.metadata)
            tensors = _Tensors()
            arguments = [tensors.place(each) for each in given]
            try:
                run = LaunchRun(kernel, self.metadata.name, (x, y, z), arguments, tensors.memory)
                run.run()
            except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
                raise InterpreterFaultError(repr(error)) from error
            tensors.write_back()
            note(run.result())

    return InterpretingLauncher


class _Tensors:
    """The storages of a launch's tensors, each a buffer of the interpreter's memory."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.contents: dict[str, NDArray[np.uint8]] = {}

    def place(self, argument: torch.Tensor | Scalar) -> interpreted.Argument:
        """Return an argument as the interpreter takes it."""
        if isinstance(argument, Scalar):
            return interpreted.Scalar(bits=argument.bits)
        tensor = plain(argument)
        storage = tensor.untyped_storage()
        begin, size = storage.data_ptr(), storage.nbytes()
        if not begin:
            return None
        name = f"{begin:#x}"
        if name not in self.contents:
            self.contents[name] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(begin))
            self.memory.add(name, size, content=self.contents[name])
        return Pointer(buffer=name, offset=tensor.data_ptr() - begin)

    def write_back(self) -> None:
        """Put what the buffers hold into the tensors."""
        for name, content in self.contents.items():
            content[:] = self.memory.buffers[name].data[: content.size]
