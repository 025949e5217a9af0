"""The CUDA driver, as far as launch plans need it: machine code is loaded, launched and unloaded.

Functions and attributes are those that Triton's own launcher uses (`triton/backends/nvidia/driver.c`), so
that a plan runs as the file does. Errors of the driver become CudaError.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

from cuda.bindings import driver as cuda

from kernelgate.execution.launch_plan import Launch

STATIC_LIMIT_BYTES = 48 * 2**10
"""What a block may have of shared memory without asking for more (CUDA C++ Programming Guide)."""

PARAMETER_BYTES = 8


class CudaError(RuntimeError):
    """The driver refused, or what ran on the GPU before has failed."""


class LoadedProgram(NamedTuple):
    """A module on the GPU, and its kernel."""

    module: Any
    function: Any


class Parameters:
    """The parameters of a launch: values of up to eight bytes, and the array of pointers to them."""

    def __init__(self, bits: Sequence[int]) -> None:
        self._values = (ctypes.c_uint64 * max(1, len(bits)))(*bits)
        first = ctypes.addressof(self._values)
        places = [first + PARAMETER_BYTES * number for number in range(len(bits))]
        self._pointers = (ctypes.c_void_p * max(1, len(bits)))(*places)

    @property
    def address(self) -> int:
        """Where the array of pointers lies."""
        return ctypes.addressof(self._pointers)


def load_program(cubin: bytes, kernel: str, shared_bytes: int) -> LoadedProgram:
    """Return machine code as loaded on the current GPU; raises CudaError if it is for another."""
    module = _check(cuda.cuModuleLoadData(cubin))
    function = _check(cuda.cuModuleGetFunction(module, kernel.encode()))
    if shared_bytes > STATIC_LIMIT_BYTES:
        _allow_shared(function)
    return LoadedProgram(module, function)


def unload_program(program: LoadedProgram) -> None:
    """Give the memory of machine code back."""
    _check(cuda.cuModuleUnload(program.module))


def launch_program(program: LoadedProgram, launch: Launch, parameters: Parameters, stream: int) -> None:
    """Launch a kernel; it runs after what the stream holds already."""
    config = cuda.CUlaunchConfig()
    config.gridDimX, config.gridDimY, config.gridDimZ = launch.grid
    config.blockDimX, config.blockDimY, config.blockDimZ = launch.threads, 1, 1
    config.sharedMemBytes, config.hStream = launch.shared_bytes, cuda.CUstream(stream)
    config.attrs = _attributes(launch)
    config.numAttrs = len(config.attrs)
    _check(cuda.cuLaunchKernelEx(config, program.function, parameters.address, 0))


def _allow_shared(function: Any) -> None:
    names = cuda.CUdevice_attribute
    device = _check(cuda.cuCtxGetDevice())
    most = _check(
        cuda.cuDeviceGetAttribute(names.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, device)
    )
    _check(cuda.cuFuncSetCacheConfig(function, cuda.CUfunc_cache.CU_FUNC_CACHE_PREFER_SHARED))
    of_function = cuda.CUfunction_attribute
    static = _check(cuda.cuFuncGetAttribute(of_function.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function))
    dynamic = of_function.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _check(cuda.cuFuncSetAttribute(function, dynamic, most - static))


def _attributes(launch: Launch) -> list[Any]:
    kinds = cuda.CUlaunchAttributeID
    attributes = []
    if launch.dependent:
        serial = _attribute(kinds.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
        serial.value.programmaticStreamSerializationAllowed = 1
        attributes.append(serial)
    if launch.cooperative:
        together = _attribute(kinds.CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
        together.value.cooperative = 1
        attributes.append(together)
    if launch.cluster != (1, 1, 1):
        cluster = _attribute(kinds.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
        cluster.value.clusterDim.x, cluster.value.clusterDim.y, cluster.value.clusterDim.z = launch.cluster
        spread = _attribute(kinds.CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE)
        policy = cuda.CUclusterSchedulingPolicy.CU_CLUSTER_SCHEDULING_POLICY_SPREAD
        spread.value.clusterSchedulingPolicyPreference = policy
        attributes += [cluster, spread]
    return attributes


def _attribute(kind: Any) -> Any:
    attribute = cuda.CUlaunchAttribute()
    attribute.id = kind
    return attribute


def _check(answer: tuple[Any, ...]) -> Any:
    """Return what the driver gave beside its status; raises CudaError for any status but success."""
    status, *given = answer
    if status != cuda.CUresult.CUDA_SUCCESS:
        raise CudaError(f"CUDA driver: {status.name.removeprefix('CUDA_ERROR_').lower().replace('_', ' ')}")
    return given[0] if len(given) == 1 else tuple(given)
