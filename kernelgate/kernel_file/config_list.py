"""The list of configurations that a kernel file gives its autotuner, and the same file with another list."""

import ast
import hashlib
from collections.abc import Sequence

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.kernel_file.source import KernelFile, callee_name, parse_kernel
from kernelgate.operations.declaration.kernel_config import KernelConfig

INDENT = " " * 4


class ConfigListError(KernelgateError, ValueError):
    """The file has no list of configurations that could be exchanged; the text says what it has."""


def with_configs(kernel: KernelFile, configs: Sequence[KernelConfig]) -> KernelFile:
    """Return the kernel file with these configurations in place of its own, and nothing else changed.

    Raises ConfigListError unless one kernel is autotuned, over a list that is written out, and
    UnreadableKernel for what is not Python.
    """
    node = _find_list(kernel)
    lines = kernel.source.splitlines(keepends=True)
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    head = lines[first].encode()[: node.col_offset].decode()
    tail = lines[last].encode()[node.end_col_offset :].decode()
    margin = head[: len(head) - len(head.lstrip())]
    written = "".join(f"{margin}{INDENT}{render_config(config)},\n" for config in configs)
    source = "".join([*lines[:first], f"{head}[\n{written}{margin}]{tail}", *lines[last + 1 :]])
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    return msgspec.structs.replace(kernel, source=source, sha256=sha256)


def render_config(config: KernelConfig) -> str:
    """Return the configuration as a kernel file writes it."""
    blocks = ", ".join(f'"{name}": {size}' for name, size in config.blocks.items())
    options = f"num_warps={config.num_warps}, num_stages={config.num_stages}"
    options += f", num_ctas={config.num_ctas}" if config.num_ctas != 1 else ""
    options += f", maxnreg={config.max_registers}" if config.max_registers is not None else ""
    return f"triton.Config({{{blocks}}}, {options})"


def _find_list(kernel: KernelFile) -> ast.List:
    found = [
        decorator
        for node in ast.walk(parse_kernel(kernel))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and callee_name(decorator) == "triton.autotune"
    ]
    if len(found) != 1:
        names = "no kernel is autotuned" if not found else f"{len(found)} kernels are autotuned"
        raise ConfigListError(f"{kernel.path}: {names}; allowed: one, with @triton.autotune(configs=[...])")
    given = [word.value for word in found[0].keywords if word.arg == "configs"] or found[0].args[:1]
    if not given or not isinstance(given[0], ast.List):
        raise ConfigListError(
            f"{kernel.path}, line {found[0].lineno}: configs is no list that is written out; "
            "allowed: configs=[triton.Config(...), ...]"
        )
    return given[0]
