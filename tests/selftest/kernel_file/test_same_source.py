"""Host code that differs in names only is the same; every other difference, and every doubt, is not."""

import re
from pathlib import Path

import pytest

from kernelgate.kernel_file.same_source import same_source
from kernelgate.kernel_file.source import KernelFile, read_kernel

KERNELS = Path(__file__).parents[3] / "kernels"
ORIGINAL = read_kernel(KERNELS / "alexnet_conv1_original.py", max_bytes=262_144).source


def kernel_file(source: str) -> KernelFile:
    return KernelFile(path="kernel.py", sha256="", source=source)


def are_same(first: str, second: str) -> bool:
    """Return the answer, which must not depend on which file comes first."""
    answers = {
        same_source(kernel_file(first), kernel_file(second)),
        same_source(kernel_file(second), kernel_file(first)),
    }
    assert len(answers) == 1
    return answers.pop()


def change(old: str, new: str, source: str = ORIGINAL) -> str:
    assert old in source
    return source.replace(old, new, 1)


def rename(old: str, new: str, source: str = ORIGINAL) -> str:
    """Return the source with one identifier renamed wherever the word stands."""
    renamed = re.sub(rf"\b{old}\b", new, source)
    assert renamed != source
    return renamed


def swap(one: str, other: str, source: str) -> str:
    return rename("swapped", other, rename(other, one, rename(one, "swapped", source)))


def test_file_is_the_same_as_itself() -> None:
    """Nothing changed is nothing different."""
    assert are_same(ORIGINAL, ORIGINAL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("conv2d_fwd_kernel", "convolve"),
        ("triton_conv2d_nchw", "launch"),
        ("grid", "programs"),
        ("meta", "blocks"),
        ("x_ptr", "input_ptr"),
        ("BLOCK_M", "BLOCK_PIXELS"),
        ("N", "BATCH"),
        ("KH", "N1"),
        ("weight_channels", "found"),
    ],
)
def test_renamed_names_are_the_same(old: str, new: str) -> None:
    """Functions, arguments, locals and the texts that name arguments may be renamed throughout."""
    assert are_same(ORIGINAL, rename(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    """Store one', '    """Write one'),
        ("        # Without a bias", "        # With no bias"),
        ('"""Return the convolution', '"""Answer the convolution'),
        ("num_warps=4", "num_warps=8"),
        ('triton.Config({"BLOCK_M": 32, ', 'triton.Config({"BLOCK_M": 16, '),
    ],
)
def test_a_change_of_configs_and_texts_is_the_same(old: str, new: str) -> None:
    """Configs are compared by what they compile to; comments and docstrings do nothing."""
    assert are_same(ORIGINAL, change(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("H + 2 * padding - KH", "KH + 2 * padding - H"),
        ("H + 2 * padding - KH", "H + 3 * padding - KH"),
        ("H + 2 * padding - KH", "H + 2.0 * padding - KH"),
        ("// stride + 1", "/ stride + 1"),
        ("N, C_out, OH, OW), device", "N, C_out, OW, OH), device"),
        ("torch.empty(", "torch.zeros("),
        ("x = x.contiguous()", "x = weight.contiguous()"),
        ("        stride,\n        stride,", "        stride,\n        padding,"),
        ("bias is not None,", "bias is None,"),
        ('"C_in", "H",', '"H", "C_in",'),
        ('key=["N", ', "key=["),
        ('meta["BLOCK_M"]', 'meta["BLOCK_N"]'),
        ("K_TOTAL: tl.constexpr,\n    HAS_BIAS", "HAS_BIAS: tl.constexpr,\n    K_TOTAL"),
        ("HAS_BIAS: tl.constexpr", "HAS_BIAS"),
        ("@triton.jit", "@triton.jit(noinline=True)"),
        ("kernel_size=11", "kernel_size=3"),
        ("in_channels=3, out_channels=96", "out_channels=3, in_channels=96"),
        ("conv1.weight", "conv1.bias"),
        ("self.conv1 = nn.Conv2d", "self.conv2 = nn.Conv2d"),
        ("if not x.is_cuda:", "if x.is_cuda:"),
        ("return out\n", "return out + 0\n"),
        ("import triton\n", "import triton\nimport os\n"),
        ("num_stages=3),", "num_stages=3, pre_hook=print),"),
        ("num_stages=3),", 'num_stages=3, ir_override="other.ttir"),'),
        ("num_stages=3),", "num_stages=print(3)),"),
        ("x: torch.Tensor,", "x: print(1),"),
        ("    def grid(meta):", "    def grid(meta: [0][N - 256]):"),
        ("    m = tl.program_id(0)", "    m = 1 + tl.program_id(0)"),
        ("    if HAS_BIAS:", "    if not isinstance(N, tl.tensor):\n        total += 1.0\n    if HAS_BIAS:"),
        ("    if HAS_BIAS:", "    if not hasattr(triton, 'n'):\n        total += 1.0\n    if HAS_BIAS:"),
        ("num_classes: int = 1000", "num_classes: int = 10"),
    ],
)
def test_changed_code_is_different(old: str, new: str) -> None:
    """What is computed, launched, looked up or allocated may not change, at any batch."""
    assert not are_same(ORIGINAL, change(old, new))


@pytest.mark.parametrize("name", ["ModelNew", "conv1", "forward", "torch", "nn", "tl", "is_cuda", "cdiv"])
def test_names_that_others_know_never_rename(name: str) -> None:
    """The model, its layer and method, modules and attributes keep their names even if renamed throughout."""
    assert not are_same(ORIGINAL, rename(name, "renamed"))


@pytest.mark.parametrize("name", ["ModelNew", "forward", "__getattr__"])
def test_names_that_others_know_are_given_to_nothing_else(name: str) -> None:
    """A function may not take or lose such a name, even where nothing in the file uses it."""
    source = "def f(x):\n    return x\n"
    assert not are_same(source, rename("f", name, source))


def test_configs_given_by_place_are_left_out_too() -> None:
    """The first argument of autotune is its configs, with or without the keyword; the second is not."""
    source = "@triton.autotune([triton.Config({}, num_warps=4)], [])\n@triton.jit\ndef k(x):\n    pass\n"
    assert are_same(source, change("num_warps=4", "num_warps=8", source))
    assert not are_same(source, change(", [])", ", ['x'])", source))


@pytest.mark.parametrize(
    ("old", "new"),
    [("OH", "OW"), ("weight", "x"), ("grid", "out"), ("grid", "len"), ("meta", "nn"), ("out", "__out__")],
)
def test_names_that_fall_together_are_different(old: str, new: str) -> None:
    """Two names mapped to one, or a name mapped to a builtin, a module or a dunder, are no renaming."""
    assert not are_same(ORIGINAL, rename(old, new))


def test_partial_renaming_is_different() -> None:
    """A name renamed in one place only is another name."""
    assert not are_same(ORIGINAL, change("    OW = (", "    WIDTH = ("))


def test_consistent_swap_of_two_names_is_the_same() -> None:
    """Two locals that exchange their names everywhere still compute the same."""
    source = "def f(a, b):\n    return a - b\n"
    assert are_same(source, "def f(b, a):\n    return b - a\n")
    assert not are_same(source, "def f(a, b):\n    return b - a\n")
    assert are_same(ORIGINAL, swap("OH", "OW", ORIGINAL))


CALLS = "def f(a, b):\n    return a - b\n\ndef g(x):\n    return f(a=x, b=1)\n"
KEYED = "def f(a, b):\n    return a - b\n\ndef g(x):\n    return f(**{'a': x, 'b': 1})\n"


@pytest.mark.parametrize("source", [CALLS, KEYED], ids=["keyword", "text"])
def test_names_given_as_keywords_or_texts_follow_the_renaming(source: str) -> None:
    """Arguments that swap their names under a call that does not are another computation."""
    assert are_same(source, swap("a", "b", source))
    assert not are_same(source, change("(a, b):\n    return a - b", "(b, a):\n    return b - a", source))


def test_keyword_of_a_library_call_is_no_name_of_the_file() -> None:
    """An argument may be renamed although a library has a keyword of the same name, which stays."""
    source = "import torch\n\ndef f(device):\n    return torch.empty(3, device=device)\n"
    assert are_same(source, source.replace("(device)", "(place)").replace("=device", "=place"))
    assert not are_same(source, rename("device", "place", source))


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n    return locals()\n",
        "def f(a):\n    return f.__name__\n",
        "def f(a):\n    return getattr(f, 'x' 'y')\n",
        "def f(a, abs):\n    return f.fn\n",
        "class C:\n    def a(self):\n        return 1\n",
        "class C:\n    a = 1\n",
        "def f(tl):\n    a = tl\n    return a\n",
        "def f():\n    return a\n",
        "import a\n\ndef f(a):\n    return a\n",
        "def f(x):\n    return x.a\n",
        "def f(x, a):\n    return x.a\n",
    ],
)
def test_name_that_somebody_may_look_up_never_renames(source: str) -> None:
    """Code that reads names, class members and names bound elsewhere leaves no doubt: different."""
    assert not are_same(source, rename("a", "renamed", source))


def test_builtins_are_not_exchanged_for_each_other() -> None:
    """A local that hides a builtin does not make the builtin renamable elsewhere."""
    source = "def f(max):\n    return max\n\ndef g(x):\n    return max(x)\n"
    assert not are_same(source, rename("max", "min", source))


def test_docstring_counts_where_the_code_reads_it() -> None:
    """A text that the code looks up is no mere documentation."""
    source = 'def f(x):\n    """one"""\n    return f.__doc__\n'
    assert are_same(source, source)
    assert not are_same(source, source.replace("one", "two"))


@pytest.mark.parametrize("source", ["def f(:", "x = a" + ".b" * 2500], ids=["syntax", "depth"])
def test_file_that_cannot_be_walked_is_different_even_from_itself(source: str) -> None:
    """No answer is made up for text that does not parse or nests too deeply."""
    assert not are_same(source, source)
