"""The line of the kernel file that does not compile, not the one that launches."""

import ast
from pathlib import Path

import pytest
from triton.compiler.errors import CompilationError

from kernelgate.protocol import FailureKind
from kernelgate.worker.compiled_line import find_cause, find_compiled_line
from kernelgate.worker.failures import describe_failure

FILE = """import triton


@triton.jit
def helper(a):
    return a + nothing


class Holder:
    @triton.jit
    def conv(x):
        b = 1
        return helper(b)
"""
HELPER = "def helper(a):\n    return a + nothing\n"
CONV = "def conv(x):\n    b = 1\n    return helper(b)\n"


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    (tmp_path / "kernel.py").write_text(FILE)
    return str(tmp_path / "kernel.py")


def complaint(source: str, line: int, message: str | None = None) -> CompilationError:
    node = ast.parse(source).body[0]
    node.lineno = line
    return CompilationError(source, node, message)


def test_the_line_is_counted_in_the_file(kernel: str) -> None:
    """Also where the function is indented there."""
    assert find_compiled_line(complaint(HELPER, 2), kernel) == 6
    assert find_compiled_line(complaint(CONV, 3), kernel) == 13


def test_the_innermost_complaint_counts(kernel: str) -> None:
    """The one at the call says nothing of what is wrong."""
    outer, inner = complaint(CONV, 3), complaint(HELPER, 2, "nothing is not defined")
    outer.__cause__ = inner
    assert find_cause(outer) is inner
    said = describe_failure(outer, kernel, FailureKind.RAISES, lambda: False)
    assert said.line == 6
    assert "nothing is not defined" in said.detail


def test_of_another_file_no_line_is_told(kernel: str) -> None:
    """Nor of an error that is not the compiler's, whatever it holds."""
    assert find_compiled_line(complaint("def other():\n    pass\n", 1), kernel) == 0
    assert find_compiled_line(complaint(HELPER, 2), "/nowhere/kernel.py") == 0
    error = ValueError("seen")
    error.__cause__ = complaint(HELPER, 2)
    assert find_compiled_line(error, kernel) == 0
    assert find_cause(error) is error
