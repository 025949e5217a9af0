"""Plans become calls of CUDA's driver; without a GPU their arguments are looked at."""

import ctypes
from typing import Any

import pytest
from cuda.bindings import driver as cuda

from kernelgate.worker.execute import cuda_driver
from kernelgate.worker.execute.cuda_driver import CudaError, LoadedProgram, Parameters
from tests.selftest.support.made_up_plans import make_launch

GOOD = cuda.CUresult.CUDA_SUCCESS
KINDS = cuda.CUlaunchAttributeID


def test_parameters_are_pointers_to_their_bits() -> None:
    """The lowest byte first, so that the driver reads as many of them as the kernel takes."""
    bits = [0x1122334455667788, 5, 2**64 - 1]
    parameters = Parameters(bits)
    pointers = (ctypes.c_void_p * 3).from_address(parameters.address)
    assert [ctypes.c_uint64.from_address(each or 0).value for each in pointers] == bits
    assert ctypes.c_uint32.from_address(pointers[0] or 0).value == 0x55667788


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []

    def note(config: Any, function: object, parameters: int, extra: int) -> tuple[Any]:
        seen.append((config, function, parameters, extra))
        return (GOOD,)

    monkeypatch.setattr(cuda, "cuLaunchKernelEx", note)
    return seen


def test_a_launch_has_the_grid_threads_and_shared_memory_of_the_plan(launched: list[Any]) -> None:
    """On the stream that is given, with no attribute that the plan does not ask for."""
    parameters = Parameters([1])
    launch = make_launch(grid=(5, 6, 7), threads=256, shared_bytes=1024)
    cuda_driver.launch_program(LoadedProgram(None, "function"), launch, parameters, 9)
    config, function, given, _ = launched[0]
    assert (config.gridDimX, config.gridDimY, config.gridDimZ) == (5, 6, 7)
    assert (config.blockDimX, config.blockDimY, config.blockDimZ) == (256, 1, 1)
    assert (config.sharedMemBytes, int(config.hStream), config.numAttrs) == (1024, 9, 0)
    assert (function, given) == ("function", parameters.address)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"cooperative": True}, [KINDS.CU_LAUNCH_ATTRIBUTE_COOPERATIVE]),
        ({"dependent": True}, [KINDS.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION]),
        (
            {"cluster": (2, 1, 1)},
            [
                KINDS.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                KINDS.CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
            ],
        ),
    ],
)
def test_what_a_launch_is_beside_its_grid_becomes_attributes(
    launched: list[Any], changes: dict[str, Any], kinds: list[Any]
) -> None:
    """As Triton's launcher sets them."""
    cuda_driver.launch_program(LoadedProgram(None, None), make_launch(**changes), Parameters([]), 0)
    config = launched[0][0]
    assert config.numAttrs == len(kinds)
    assert [each.id for each in config.attrs] == kinds
    if "cluster" in changes:
        cluster = config.attrs[0].value.clusterDim
        assert (cluster.x, cluster.y, cluster.z) == (2, 1, 1)


def test_what_the_driver_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the driver's own words."""
    refused = cuda.CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU
    monkeypatch.setattr(cuda, "cuModuleLoadData", lambda _: (refused, None))
    with pytest.raises(CudaError, match="no binary for gpu"):
        cuda_driver.load_program(b"", "kernel", 0)


@pytest.mark.parametrize(("shared_bytes", "asked"), [(48 * 2**10, False), (48 * 2**10 + 1, True)])
def test_shared_memory_beyond_the_default_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, shared_bytes: int, asked: bool
) -> None:
    """All that a block may have, less what the code takes by itself."""
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cuda, "cuModuleLoadData", lambda _: (GOOD, "module"))
    monkeypatch.setattr(cuda, "cuModuleGetFunction", lambda *_: (GOOD, "function"))
    monkeypatch.setattr(cuda, "cuCtxGetDevice", lambda: (GOOD, 0))
    monkeypatch.setattr(cuda, "cuDeviceGetAttribute", lambda *_: (GOOD, 101_376))
    monkeypatch.setattr(cuda, "cuFuncGetAttribute", lambda *_: (GOOD, 1024))
    monkeypatch.setattr(cuda, "cuFuncSetCacheConfig", lambda *_: (GOOD,))
    monkeypatch.setattr(cuda, "cuFuncSetAttribute", lambda *each: given.append(each) or (GOOD,))
    loaded = cuda_driver.load_program(b"", "kernel", shared_bytes)
    assert loaded == LoadedProgram("module", "function")
    assert [each[2] for each in given] == ([100_352] if asked else [])
