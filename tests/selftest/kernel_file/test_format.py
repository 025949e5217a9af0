"""Every format rule fires on a small planted change, on its line, and the real kernel breaks none."""

import os
from pathlib import Path

import msgspec
import pytest

from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.operations import find_operation, name_of
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1

KERNELS = Path(__file__).parents[3] / "kernels"
MAX_BYTES = 4096
MARK = "# broken"

# A kernel file as short as the rules allow; the planted changes speak of its lines.
SMALLEST = '''\
"""Doubles."""
import torch
import torch.nn as nn
import triton
import triton.language as tl

BLOCK: tl.constexpr = 32
SIZES = [BLOCK, -BLOCK * 2]


@triton.jit
def double(x_ptr, BLOCK: tl.constexpr):
    pass


def launch(x):
    return x


class ModelNew(nn.Module):
    def __init__(self, classes=1000, *, bias=True):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11)

    def forward(self, x, scale=1):
        return launch(x)
'''


def kernel_file(source: str) -> KernelFile:
    return KernelFile(path="kernel.py", sha256="", source=source)


def broken_rules(source: str) -> list[tuple[str, int]]:
    return [
        (violation.rule, violation.line) for violation in check_format(kernel_file(source), ALEXNET_CONV1)
    ]


def plant(old: str, new: str) -> str:
    assert SMALLEST.count(old) == 1
    return SMALLEST.replace(old, new)


def insert(line: int, text: str) -> str:
    """Return the smallest file with text as its line of that number."""
    lines = SMALLEST.splitlines()
    return "\n".join([*lines[: line - 1], text, *lines[line - 1 :]])


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda path: path.stem)
def test_kernels_of_the_repository_keep_every_rule(path: Path) -> None:
    """The frozen and the accepted kernels are what the rules describe."""
    name = name_of(path.stem)
    assert name is not None
    assert check_format(read_kernel(path, max_bytes=262_144), find_operation(name)) == ()


def test_smallest_file_keeps_every_rule() -> None:
    """The file that the planted changes start from breaks nothing by itself."""
    assert broken_rules(SMALLEST) == []


@pytest.mark.parametrize(
    ("line", "text", "rule"),
    [
        (6, "import os", "import-not-allowed"),
        (6, "from torch import nn as other", "import-not-allowed"),
        (6, "import triton.language", "import-not-allowed"),
        (6, "import torch.nn", "import-not-allowed"),
        (6, "from __future__ import annotations", "import-not-allowed"),
        (17, "    import torch", "import-not-at-top"),
        (22, "        import triton", "import-not-at-top"),
        (11, "@triton.jit\ndef triple(x_ptr):\n    @triton.jit\n    def nested(): pass  # broken", "order"),
        (27, "LATE = 1", "order"),
        (27, "def late(x):\n    return x", "order"),
        (9, "print('loaded')", "statement-not-allowed"),
        (9, "'a text'", "statement-not-allowed"),
        (9, "while False: pass", "statement-not-allowed"),
        (9, "if True: pass", "statement-not-allowed"),
        (9, "try: pass\nfinally: pass", "statement-not-allowed"),
        (9, "with torch.no_grad(): pass", "statement-not-allowed"),
        (9, "for SIZE in SIZES: pass", "statement-not-allowed"),
        (9, "del SIZES", "statement-not-allowed"),
        (9, "torch.backends.flag = True", "statement-not-allowed"),
        (9, "SIZES[0] = 1", "statement-not-allowed"),
        (9, "A = SIZES[0] = 1", "statement-not-allowed"),
        (9, "A, B = 1, 2", "statement-not-allowed"),
        (9, "TABLE = torch.ones(3)", "statement-not-allowed"),
        (9, "EMPTY = torch.empty", "statement-not-allowed"),
        (9, "CUDA = torch.cuda", "statement-not-allowed"),
        (9, "ALIAS = torch", "statement-not-allowed"),
        (9, "LATER = UNKNOWN", "statement-not-allowed"),
        (9, "FUNCTION = lambda: 1", "statement-not-allowed"),
        (9, "SQUARES = [n * n for n in (1, 2)]", "statement-not-allowed"),
        (9, "CONFIG = triton.Config({}, pre_hook=print)", "statement-not-allowed"),
        (9, "TYPED: print('x') = 1", "statement-not-allowed"),
        (9, "BARE: int", "statement-not-allowed"),
        (9, "async def wait(): pass", "statement-not-allowed"),
        (17, "    async def wait(): pass", "statement-not-allowed"),
        (17, "    if __name__ == '__main__': pass", "main-guard"),
        (9, "if '__main__' == __name__: pass", "main-guard"),
        (24, "    def get_inputs(self): pass", "test-inputs"),
        (17, "    def get_init_inputs(): pass", "test-inputs"),
        (17, "    get_inputs = lambda: []", "test-inputs"),
        (16, "def test_it(x):\n    return x", "testing-code"),
        (11, "@triton.jit\ndef test_kernel(x_ptr): pass  # broken", "testing-code"),
        (17, "    class Inner: pass", "class-not-allowed"),
        (19, "class Other: pass", "class-not-allowed"),
        (9, "SIZES = [1]", "name-rebound"),
        (9, "tl = 1", "name-rebound"),
        (15, "@triton.jit\ndef double(x_ptr): pass  # broken", "name-rebound"),
        (16, "@property", "decorator-not-allowed"),
        (16, "@triton.autotune(configs=[], key=[])", "decorator-not-allowed"),
        (16, "@torch.compile(fullgraph=True)", "decorator-not-allowed"),
        (11, "@torch.no_grad()", "decorator-not-allowed"),
        (20, "@torch.no_grad()", "decorator-not-allowed"),
    ],
)
def test_planted_line_breaks_one_rule(line: int, text: str, rule: str) -> None:
    """Each planted text breaks one rule, on its first line unless the mark stands elsewhere."""
    source = insert(line, text)
    marked = [number for number, row in enumerate(source.splitlines(), 1) if row.endswith(MARK)]
    assert broken_rules(source) == [(rule, *(marked or [line]))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("class ModelNew", "class Model", [("model-missing", 1), ("class-not-allowed", 20)]),
        (
            "return launch(x)\n",
            "return launch(x)\nclass ModelNew(nn.Module): pass\n",
            [("class-not-allowed", 27), ("name-rebound", 27)],
        ),
        ("(nn.Module)", "", [("model-base", 20)]),
        ("(nn.Module)", "(nn.Conv2d)", [("model-base", 20)]),
        ("(nn.Module)", "(nn.Module, nn.Conv2d)", [("model-base", 20)]),
        ("(nn.Module)", "(nn.Module, metaclass=type)", [("model-base", 20)]),
        ("self, x, scale=1", "self", [("model-forward", 25)]),
        ("self, x, scale=1", "self, x, y", [("model-forward", 25)]),
        ("self, x, scale=1", "self, x, *, y", [("model-forward", 25)]),
        ("self, x, scale=1", "self, x=1", [("model-forward", 25)]),
        ("def forward", "def backward", [("model-forward", 20)]),
        ("classes=1000", "classes", [("model-init", 21)]),
        ("bias=True", "bias", [("model-init", 21)]),
        ("self.conv1 =", "self.conv2 =", [("model-layer", 20)]),
        ("self.conv1 =", "self.conv1.weight =", [("model-layer", 20)]),
        ("@triton.jit\n", "", [("kernel-missing", 1)]),
        ("def launch(x):", "@triton.jit\ndef launch(x):", [("wrapper-missing", 1)]),
        ("torch\nimport torch.nn", "torch, os\nimport torch.nn", [("import-not-allowed", 2)]),
        ('"""Doubles."""\n', "FIRST = 1\n", [("import-not-at-top", line) for line in (2, 3, 4, 5)]),
    ],
)
def test_planted_change_breaks_its_rule(old: str, new: str, expected: list[tuple[str, int]]) -> None:
    """Each planted change breaks the rules that it is meant to break and no other."""
    assert broken_rules(plant(old, new)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "MASK = ~1",
        "NAMES = A = {'a': (1, 2.5), 'b': {3}}",
        "DTYPE = torch.float32",
        "EIGHT = torch.float8_e4m3fn",
        "ACCUMULATOR = tl.float32",
        "LIMIT = tl.constexpr(BLOCK + 1)",
        "CONFIGS = [triton.Config({'BLOCK': BLOCK}, num_warps=4)]",
        "@torch.inference_mode()\ndef other(x): pass",
    ],
)
def test_allowed_line_breaks_nothing(text: str) -> None:
    """Constants before the class and the two decorators of wrappers are allowed."""
    assert broken_rules(insert(15, text)) == []


@pytest.mark.parametrize(
    "decorator",
    ["@triton.jit", "@triton.jit(noinline=True)", "@triton.heuristics({})\n@triton.jit"],
)
def test_kernel_is_what_triton_jit_decorates(decorator: str) -> None:
    """A kernel may carry arguments of jit and further decorators of Triton."""
    assert broken_rules(plant("@triton.jit", decorator)) == []


def test_order_names_the_item_and_what_it_came_after() -> None:
    """The message on a kernel below a wrapper names both, and their kinds."""
    (violation,) = check_format(kernel_file(insert(19, "@triton.jit\ndef late(x_ptr): pass")), ALEXNET_CONV1)
    assert (violation.rule, violation.line) == ("order", 20)
    assert "kernel `late` comes after wrapper `launch`" in str(violation)


def test_violations_are_all_told_in_order_of_lines() -> None:
    """The first broken rule hides no later one."""
    source = plant("BLOCK: tl.constexpr = 32\n", "print(1)\nimport os\n").replace("SIZES = ", "SIZES += ")
    rules = ["statement-not-allowed", "import-not-allowed", "import-not-at-top", "statement-not-allowed"]
    assert [rule for rule, _ in broken_rules(source)] == rules
    assert [line for _, line in broken_rules(source)] == [7, 8, 8, 9]


def test_violation_reads_as_place_rule_and_message() -> None:
    """The text starts with the line, where there is one, and the rule's code."""
    violation = Violation(rule="order", line=12, message="late")
    assert str(violation) == "line 12: [order] late"
    assert str(msgspec.structs.replace(violation, line=0)) == "[order] late"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import torch\n\ndef f(:\n", 3),
        ("x = 'a\0b'\n", 1),
        ("(" * 300 + ")" * 300, 1),
        ("x = " + "-" * 100_000 + "1", 1),
        ("x = " + "+".join("1" * 2500), 1),
        ("x = a" + ".b" * 2500, 1),
    ],
    ids=["syntax", "nul", "parentheses", "minus-signs", "long-sum", "long-chain"],
)
def test_text_that_does_not_parse_is_one_violation(source: str, line: int) -> None:
    """A syntax error, or nesting that no parser follows, is answered, not raised."""
    assert broken_rules(source) == [("not-python", line)]


def test_doubtful_escapes_raise_no_warning() -> None:
    """Python's warnings about a candidate's text are not the judge's."""
    assert broken_rules(insert(9, r"TEXT = '\d'")) == []


def rule_of_reading(path: Path) -> str:
    with pytest.raises(UnreadableKernel) as caught:
        read_kernel(path, MAX_BYTES)
    assert caught.value.violation.line == 0
    assert str(path) in str(caught.value)
    return caught.value.violation.rule


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "file-empty"),
        (b" \n\t\n", "file-empty"),
        (b"x = 1\n" * MAX_BYTES, "file-too-large"),
        (b"x = 1\0", "nul-byte"),
        (b"# first\n# second\nx = '\xff'\n", "not-utf-8"),
        (b"\xef\xbb\xbfx = 1\n", "not-utf-8"),
        (b"# coding: utf-7\nx = 1\n", "not-utf-8"),
        (b"# coding: none-such\n", "not-utf-8"),
    ],
)
def test_content_that_is_no_text_cannot_be_read(tmp_path: Path, content: bytes, rule: str) -> None:
    """Only UTF-8 text of a bounded size is read, and only as an import would read it."""
    path = tmp_path / "kernel.py"
    path.write_bytes(content)
    assert rule_of_reading(path) == rule


def test_path_that_is_no_regular_file_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a directory, a FIFO or an endless device is answered at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert rule_of_reading(tmp_path / "none.py") == "file-missing"
    assert rule_of_reading(tmp_path / ("long" * 100)) == "file-unreadable"
    assert [rule_of_reading(path) for path in (tmp_path, fifo, Path("/dev/zero"))] == ["not-a-file"] * 3


def test_file_is_read_as_it_lies_there(tmp_path: Path) -> None:
    """Text and hash are those of the bytes, and a file of exactly the limit is read."""
    path = tmp_path / "kernel.py"
    path.write_bytes(b"x = 1\r\n" + b"#" * (MAX_BYTES - 7))
    kernel = read_kernel(path, MAX_BYTES)
    assert (kernel.path, kernel.source[:7], len(kernel.source)) == (str(path), "x = 1\r\n", MAX_BYTES)
    assert len(kernel.sha256) == 64
