"""Compiles small kernels to TTIR with no GPU, and runs them on NumPy arrays."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from triton._C.libtriton import ir
from triton.backends import backends
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import ASTSource

from kernelgate.interpreter.findings import Place
from kernelgate.interpreter.launch import Argument, LaunchResult, LaunchRun, Pointer, ReadyKernel, Scalar
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.module import Module
from kernelgate.interpreter.text.parser import parse

ADA = 89
HOPPER = 90

NAMES = {
    "float64": "fp64",
    "float32": "fp32",
    "float16": "fp16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint64": "u64",
    "uint32": "u32",
    "uint16": "u16",
    "uint8": "u8",
    "bool": "i1",
}


class Typed:
    """An array whose bits are of a type that NumPy lacks, or a scalar of a chosen type."""

    def __init__(self, value: Any, name: str) -> None:
        self.value, self.name = value, name


def ttir_of(
    kernel: Any, signature: dict[str, str], constants: dict[str, Any], capability: int = ADA, **options: Any
) -> str:
    """Return the TTIR of a jitted kernel for a GPU of that compute capability."""
    backend = backends["nvidia"].compiler(GPUTarget("cuda", capability, 32))
    kinds = signature | dict.fromkeys(constants, "constexpr")
    source = ASTSource(kernel, {name: kinds[name] for name in kernel.arg_names}, constants)
    parsed = backend.parse_options(options)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    made = source.make_ir(
        backend.target,
        parsed,
        backend.get_codegen_implementation(parsed),
        backend.get_module_map(),
        context,
    )
    return str(backend.make_ttir(made, {}, parsed, capability))


def kind_of(argument: Any) -> str:
    """Return Triton's name of an argument's type."""
    if isinstance(argument, Typed):
        return argument.name
    if isinstance(argument, np.ndarray):
        return f"*{NAMES[argument.dtype.name]}"
    return "fp32" if isinstance(argument, float) else "i32"


def bits_of(argument: Any) -> int:
    """Return a scalar's bits."""
    value = argument.value if isinstance(argument, Typed) else argument
    return int.from_bytes(struct.pack("<f", value), "little") if isinstance(value, float) else int(value)


def run_launch(
    kernel: Module | ReadyKernel,
    name: str,
    grid: Place,
    arguments: Sequence[Argument],
    memory: Memory,
    *,
    programs: Sequence[Place] | None = None,
    chunk: int | None = None,
    **options: Any,
) -> LaunchResult:
    """Run all programs of a kernel, or the given ones in their order."""
    run = LaunchRun(kernel, name, grid, arguments, memory, **options)
    run.run(programs, chunk)
    return run.result()


def run(
    kernel: Any,
    grid: tuple[int, ...],
    arguments: dict[str, Any],
    constants: dict[str, Any] | None = None,
    *,
    capability: int = ADA,
    memory: Memory | None = None,
    debug: bool = False,
    **options: Any,
) -> LaunchResult:
    """Run a jitted kernel by the interpreter; arrays among its arguments are changed as it changes them."""
    signature = {name: kind_of(each) for name, each in arguments.items()}
    module = parse(ttir_of(kernel, signature, constants or {}, capability, debug=debug))
    memory = memory or Memory()
    given: list[Pointer | Scalar] = []
    arrays = {
        name: each.value if isinstance(each, Typed) else each
        for name, each in arguments.items()
        if isinstance(each.value if isinstance(each, Typed) else each, np.ndarray)
    }
    for name, argument in arguments.items():
        if name in arrays:
            memory.add(name, arrays[name].nbytes, content=arrays[name])
            given.append(Pointer(buffer=name))
        else:
            given.append(Scalar(bits=bits_of(argument)))
    whole_grid = (*grid, 1, 1)[:3]
    result = run_launch(ReadyKernel(module), kernel.__name__, whole_grid, given, memory, **options)
    for name, array in arrays.items():
        array[...] = memory.read(name, array.dtype).reshape(array.shape)
    return result


def parse_kernel(kernel: Any, arguments: dict[str, Any], **constants: Any) -> Any:
    """Return the module of a jitted kernel."""
    return parse(ttir_of(kernel, {name: kind_of(each) for name, each in arguments.items()}, constants))
