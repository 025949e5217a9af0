"""A kernel file with another list of configurations: nothing else of it changes."""

import ast
from pathlib import Path

import msgspec
import pytest

from kernelgate.kernel_file.config_list import ConfigListError, render_config, with_configs
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig

ROOT = Path(__file__).resolve().parents[3]
ORIGINAL = ALEXNET_CONV1.original.config
OTHER = msgspec.structs.replace(ORIGINAL, num_warps=8, num_stages=3)
FILES = [ROOT / "kernels/alexnet_conv1_original.py", ROOT / "docs/examples/pipelined/kernel.py"]


def kernel_of(source: str) -> KernelFile:
    return KernelFile(path="some.py", sha256="0" * 64, source=source)


def configs_in(source: str) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [ast.unparse(call) for call in calls if ast.unparse(call.func) == "triton.Config"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_list_is_exchanged_and_nothing_else(file: Path) -> None:
    """Lines before and after it stay, and it is a kernel file still."""
    before = read_kernel(file, 10**6)
    after = with_configs(before, (ORIGINAL, OTHER))
    assert check_format(after, ALEXNET_CONV1) == ()
    assert len(configs_in(after.source)) == 2
    assert "num_warps=8, num_stages=3" in configs_in(after.source)[1]
    ours, theirs = after.source.splitlines(), before.source.splitlines()
    assert [line for line in ours if "triton.Config(" not in line] == [
        line for line in theirs if "triton.Config(" not in line
    ]
    assert after.sha256 != before.sha256
    assert with_configs(after, (OTHER,)).sha256 == with_configs(before, (OTHER,)).sha256


@pytest.mark.parametrize(
    "decorator",
    [
        "@triton.autotune([triton.Config({}, 4)], ['N'])",
        "@triton.autotune(configs=[triton.Config({'a': 1})], key=[])",
        "@triton.autotune(key=['Ü'], configs=[])",
    ],
)
def test_a_list_on_one_line_is_found_too(decorator: str) -> None:
    """By its name or its place, and whatever stands on the line."""
    source = f"{decorator}\n@triton.jit\ndef f(x):\n    pass\n"
    after = with_configs(kernel_of(source), (ORIGINAL,)).source
    assert len(configs_in(after)) == 1
    call = ast.parse(after).body[0].decorator_list[0]  # type: ignore[attr-defined]
    assert len(call.args) + len(call.keywords) == 2
    assert ("Ü" in after) == ("Ü" in source)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            ORIGINAL,
            'triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2)',
        ),
        (
            KernelConfig(blocks={"F": "True"}, num_warps=2, num_stages=1, num_ctas=2, max_registers=64),
            'triton.Config({"F": True}, num_warps=2, num_stages=1, num_ctas=2, maxnreg=64)',
        ),
    ],
)
def test_a_configuration_is_written_as_a_kernel_file_does(config: KernelConfig, text: str) -> None:
    """Options at their defaults are left out."""
    assert render_config(config) == text


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("@triton.jit\ndef f(x):\n    pass\n", "no kernel is autotuned"),
        (2 * "@triton.autotune(configs=[], key=[])\n@triton.jit\ndef f(x):\n    pass\n", "2 kernels are"),
        (
            "\n@triton.autotune(configs=LIST, key=[])\n@triton.jit\ndef f(x):\n    pass\n",
            "line 2: configs",
        ),
        ("@triton.autotune(key=[])\n@triton.jit\ndef f(x):\n    pass\n", "configs is no list"),
    ],
)
def test_a_file_without_one_such_list_is_refused(source: str, says: str) -> None:
    """With the file's name and what is allowed."""
    with pytest.raises(ConfigListError, match=f"some.py.*{says}.*allowed"):
        with_configs(kernel_of(source), (ORIGINAL,))


def test_what_is_not_python_is_refused() -> None:
    """As anywhere else."""
    with pytest.raises(UnreadableKernel):
        with_configs(kernel_of("def :"), (ORIGINAL,))
