"""The kernels of this repository, compiled to TTIR and launched as their files launch them."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kernelgate.interpreter.launch import LaunchResult, Pointer, ReadyKernel, Scalar
from kernelgate.interpreter.memory.buffer import poison
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import run_launch, ttir_of

KERNELS = Path(__file__).parents[3] / "kernels"
NAN = 0x7FC01234
PIXELS = 55 * 55
GEOMETRY = {
    "C_in": 3, "H": 224, "W": 224, "C_out": 96, "KH": 11, "KW": 11, "OH": 55, "OW": 55, "stride_h": 4,
    "stride_w": 4, "pad_h": 2, "pad_w": 2,
}  # fmt: skip
FIXED = {"K_TOTAL": 363, "HAS_BIAS": True}
FAST = {"SHARES": 2, "AT_ONCE": 4, "WARPS": 8, "REPEATS": 2}


@dataclass(frozen=True)
class Tensors:
    """The operands of the layer."""

    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    @property
    def truth(self) -> torch.Tensor:
        """The convolution in float64."""
        operands = (self.x.double(), self.weight.double(), self.bias.double())
        return nn.functional.conv2d(*operands, stride=4, padding=2)

    @property
    def bound(self) -> torch.Tensor:
        """How far an honest TF32 kernel may be off: both operands and the sums rounded."""
        sizes = (self.x.double().abs(), self.weight.double().abs())
        return (2 * 2.0**-10 + 2.0**-20 + 400 * 2.0**-23) * nn.functional.conv2d(*sizes, stride=4, padding=2)


def make_tensors(batch: int) -> Tensors:
    random = torch.Generator().manual_seed(1)
    shapes = ((batch, 3, 224, 224), (96, 3, 11, 11), (96,))
    return Tensors(*(torch.randn(shape, generator=random) for shape in shapes))


def kernels_of(name: str) -> Any:
    """Return the module of a kernel file."""
    spec = importlib.util.spec_from_file_location(name, KERNELS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ready(kernel: Any, signature: dict[str, str], constants: dict[str, Any]) -> ReadyKernel:
    return ReadyKernel(parse(ttir_of(kernel, signature, constants)))


def pointers(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "*fp32")


def make_memory(tensors: Tensors) -> Memory:
    memory = Memory()
    for name in ("x", "weight", "bias"):
        content = getattr(tensors, name).numpy()
        memory.add(name, content.nbytes, content=content)
    memory.add("out", 4 * len(tensors.x) * 96 * PIXELS, fill=poison(NAN))
    return memory


def compile_direct(name: str, blocks: dict[str, int]) -> ReadyKernel:
    """Return the accepted or the original kernel with these blocks."""
    kernel = kernels_of(name).conv2d_fwd_kernel.fn
    at_run_time = {"N": "i32"} if name == "alexnet_conv1" else {"N": "i32"} | dict.fromkeys(GEOMETRY, "i32")
    constants = {each: value for each, value in GEOMETRY.items() if each not in at_run_time}
    signature = pointers("x_ptr", "w_ptr", "b_ptr", "out_ptr") | at_run_time
    return ready(kernel, signature, constants | FIXED | blocks)


def launch_direct(kernel: ReadyKernel, batch: int, memory: Memory, **options: Any) -> LaunchResult:
    grid = options.pop("grid")
    return run_launch(kernel, "conv2d_fwd_kernel", grid, arguments_of(kernel, batch), memory, **options)


def arguments_of(kernel: ReadyKernel, batch: int) -> list[Pointer | Scalar]:
    """Return what a launch on so many images is given."""
    numbers = [batch] if len(kernel.function.parameters) == 5 else [batch, *GEOMETRY.values()]
    given = [Pointer(buffer=name) for name in ("x", "weight", "bias", "out")]
    return [*given, *(Scalar(bits=number) for number in numbers)]


def launch_fast(batch: int, memory: Memory) -> tuple[LaunchResult, LaunchResult]:
    """Pack the filters and convolve, as on a 4090."""
    module = kernels_of("alexnet_conv1_fast")
    pack = ready(module.pack_kernel, pointers("w_ptr", "b_ptr", "packed_ptr"), {"HAS_BIAS": True})
    signature = pointers("x_ptr", "packed_ptr", "out_ptr") | {"m_total": "i32"}
    conv = ready(module.conv_kernel, signature, FAST)
    memory.add("packed", 4 * 96 * 400, fill=poison(NAN))
    given = [Pointer(buffer=name) for name in ("weight", "bias", "packed", "x", "packed", "out")]
    programs = 2 * min(64, -(-batch * PIXELS // 256))
    return (
        run_launch(pack, "pack_kernel", (96, 1, 1), given[:3], memory),
        run_launch(conv, "conv_kernel", (programs, 1, 1), [*given[3:], Scalar(bits=batch * PIXELS)], memory),
    )


def answer(memory: Memory, batch: int) -> torch.Tensor:
    return torch.from_numpy(memory.read("out", np.float32)).reshape(batch, 96, 55, 55)
