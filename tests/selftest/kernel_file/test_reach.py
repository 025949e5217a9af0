"""Where a file in the open form could reach its recorder: each way is seen, and usual code is not."""

from pathlib import Path

import pytest

from benchmarks.attack_kernels import ATTACKS
from kernelgate.kernel_file.reach import LOOKS, REACHES, find_reaches, refused
from kernelgate.kernel_file.source import KernelFile
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from tests.selftest.corpus.planted.corpus import faults, look_alikes

ROOT = Path(__file__).parents[3]
KERNELS = sorted([*ROOT.glob("kernels/*.py"), *ROOT.glob("docs/examples/*/kernel.py")])
BY_LAW_ALONE = {"aten-convolution", "fourier", "gradient"}
"""They ask PyTorch to compute, which the recorder sees."""

HEAD = """import torch
import torch.nn as nn
import triton
import triton.language as tl


class ModelNew(nn.Module):
    def forward(self, x, name=None, other=None):
"""
LINE = HEAD.count("\n") + 1


def reaches(source: str) -> tuple[Violation, ...]:
    """Return what is seen in a whole file."""
    return find_reaches(KernelFile(path="k.py", sha256="0" * 64, source=source))


def within(statement: str) -> tuple[Violation, ...]:
    """Return what is seen of a forward that has the statement for its body."""
    return reaches(HEAD + "".join(f"        {line}\n" for line in statement.splitlines()))


@pytest.mark.parametrize(
    "statement",
    [
        "import gc",
        "import ctypes, math",
        "import numpy.ctypeslib as c",
        "import importlib",
        "import subprocess",
        "import pathlib",
        "import traceback",
        "import kernelgate.worker",
        "from os import write",
        "from sys import modules as m",
        "from torch import _C",
        "from torch.utils import _python_dispatch",
        "from torch import overrides",
        "from triton import knobs",
        "from triton.runtime import cache",
        "from triton.language import core",
        "from math import *",
        "from . import other",
        "from typing import get_type_hints",
        "from operator import attrgetter",
        "from threading import settrace",
    ],
)
def test_an_import_that_leads_out_is_seen(statement: str) -> None:
    """At the top and within a function; the message names the part that does, and what to do."""
    for found in (reaches(f"{statement}\n"), within(statement)):
        assert len(found) == 1
        assert statement.partition(" as ")[0].split()[1].split(",")[0].split(".")[0] in found[0].message
        assert ";" in found[0].message


@pytest.mark.parametrize(
    "statement",
    [
        "torch.os.system('true')",
        "torch.sys.modules",
        "m = torch\nm.sys.modules",
        "import sys as system\nsystem.modules",
        "m = torch.cuda\nm.os.system(name)",
        "torch._C._cuda_getDeviceCount()",
        "getattr(torch, '_C')",
        "hasattr(torch, 'os')",
        "torch.nn.modules.conv.os.system(name)",
        "torch.load(name)",
        "torch.utils.cpp_extension.load(name)",
        "torch.get_device_module('cuda').os",
        "triton.knobs.runtime",
        "triton.compiler.compile(x)",
        "triton.testing.os",
        "triton.runtime.driver.set_active(x)",
        "tl.core.builtins",
        "tl.math.core",
        "tl.extra.cuda.libdevice.core",
        "[torch.nn]",
        "other(torch)",
        "other(tl)",
    ],
)
def test_a_part_of_a_library_that_leads_out_is_seen(statement: str) -> None:
    """By whatever name, and a module that is handed on, since nobody sees what is taken out of it then."""
    assert within(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "eval(name)",
        "f = open",
        "globals()['x']",
        "vars(x)",
        "__builtins__",
        "x.__dict__",
        "self.forward.__globals__",
        "x.__class__.__subclasses__()",
        "frame.f_back",
        "kernel.get_capture_scope()",
        "kernel.used_global_vals",
        "x.numpy().tofile(name)",
        "getattr(x, name)",
        "look = getattr",
        "setattr(x, 'numpy', name)",
        "key = '__globals__'",
        "key = f'__{name}__'",
        "type('Kind', (), {})",
        "match x:\n    case object(__globals__=g):\n        pass",
        "torch.empty = name",
        "torch.Tensor.data = name",
        "T = torch.Tensor\nT.numpy = name",
        "type(self).forward = name",
        "for self in [torch.Tensor]:\n    self.numpy = name",
        "[setattr(self, 'numpy', name) for self in [torch.Tensor]]",
        "b = a\nb._C\na = torch",
        "x.numpy = name",
        "self.weight.__class__.numpy = name",
        "other[0].numpy = name",
        "del torch.empty",
        "tl.load = name",
        "nn.Module.__call__ = name",
    ],
)
def test_what_reaches_python_itself_or_changes_what_is_shared_is_seen(statement: str) -> None:
    """Hidden names, frames, code as text, and attributes of others."""
    assert within(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "import math, functools, dataclasses, typing, os, warnings, logging, itertools, contextlib, sys",
        "import torch.nn.functional as F\nF.pad(x, (1, 1))",
        "from torch import nn, Tensor\nnn.functional.pad(x, (1,))",
        "from triton.language.extra import libdevice\nlibdevice.rint(x)",
        "from triton.language.extra.cuda import libdevice\nlibdevice.rint(x)",
        "from triton.runtime import driver\ndriver.active.utils.get_device_properties(0)",
        "from triton.tools.tensor_descriptor import TensorDescriptor",
        "import os\nos.environ.setdefault('A', 'b')\nos.environ['A'] = os.getenv('B') or os.path.join('a')",
        "import sys\nassert sys.version_info >= (3, 8)",
        "import time, threading\nlock = threading.Lock()\ntime.perf_counter()",
        "import numpy as np\nnp.prod(x.shape)",
        "F = nn.functional\nF.pad(x, (1, 1))",
        "torch.backends.cudnn.allow_tf32 = True",
        "torch.manual_seed(0)\ntorch.set_float32_matmul_precision('high')",
        "name = type(self).__name__ + self.__class__.__name__ + self.__doc__ + __name__",
        "self.cache = {}\nself.__dict__['kept'] = x\nvars(self)['kept'] = x",
        "self.conv1.weight.data = x\nself.conv1.bias = None\nx.grad = None\nother['desc'].block_shape = [1]",
        "for key, value in other.items():\n    setattr(self, key, value)",
        "pad = getattr(self, 'padding', 2)\nassert hasattr(tl, 'dot') and hasattr(x, name)",
        "locals(), dir(x), input()",
        "def inner(open, vars, eval):\n    return eval(open, vars)",
        "time = math = os = 3\nreturn time, math, os",
        "quiet = ModelNew()\nquiet.mode = 3\nModelNew.calls = 1",
    ],
)
def test_usual_code_is_not_seen(statement: str) -> None:
    """What computes, describes, sets what is its own, or is called as a builtin is called."""
    assert within(statement) == ()


def test_what_runs_as_a_script_alone_is_not_looked_at() -> None:
    """Unless the file says itself what it is called."""
    script = 'if __name__ == "__main__":\n    import gc\n    exec(open("x").read())\n'
    assert reaches(script) == ()
    assert reaches(f'__name__ = "__main__"\n{script}')
    assert reaches(f"import torch as __name__\n{script}")
    assert reaches(f"{script}else:\n    import gc\n")
    assert reaches(script.replace("==", "!="))


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_kernels_at_hand_reach_nowhere(file: Path) -> None:
    """The accepted kernel and every example."""
    assert reaches(file.read_text()) == ()


def test_no_honest_file_of_the_corpus_is_seen() -> None:
    """However suspicious it looks."""
    assert [entry.name for _, entry in look_alikes() if reaches(entry.source)] == []


def test_every_attack_that_the_strict_form_refuses_for_its_names_is_seen() -> None:
    """But for those that ask PyTorch to compute, and for settings of PyTorch's own."""
    attacks = {entry.name: entry.source for group, entry in faults() if group == "attack_faults"}
    unseen = {name for name, source in attacks.items() if not reaches(source)}
    laws = {"replaces-call", "replaces-weight", "honest-to-subclasses", "honest-if-fresh-memory-is-nan"}
    assert unseen == laws | {"stores-over-nan", "stores-over-a-pattern"}
    base = (ROOT / "kernels" / "alexnet_conv1.py").read_text()
    timers = {attack.name for attack in ATTACKS if not reaches(attack.source(base))}
    assert "patches-time" not in timers
    assert "patches-flush" not in timers


def test_places_are_told_in_order_each_once() -> None:
    """With the line of the file."""
    found = within("y = eval('x')\n\ntorch.empty = torch.utils\nz = x.__globals__")
    assert [each.line for each in found] == [LINE, LINE + 2, LINE + 2, LINE + 3]


def test_a_name_that_stands_for_too_many_things_is_seen_in_time() -> None:
    """Aliases of themselves have no end, and aliases of thousands of aliases are followed."""
    assert within("a = torch\na = a.x\na = a.y\na = a.z\na.empty(3)")
    chain = "\n".join(f"a{number + 1} = a{number}" for number in reversed(range(3000)))
    assert within(f"{chain}\na3000._C\na0 = torch")
    assert within(f"{chain}\na3000.empty(3)\na0 = torch") == ()


def test_code_that_nests_too_deeply_is_no_python_to_judge() -> None:
    """It is answered, not raised."""
    with pytest.raises(UnreadableKernel, match="not-python"):
        reaches("x = " + "+".join("1" * 2500))


@pytest.mark.parametrize(
    "statement",
    [
        "import sys\nif len(sys.argv) > 1: x = None",
        "import sys\nseen = 'torch' in sys.modules",
        "import os\nhere = os.path.dirname(__file__)",
        "import os\nhas_gpu = os.path.exists('/dev/nvidia0')",
        "from os.path import isdir",
        "import threading\nalone = threading.active_count() == 1",
        "from sys import _getframe",
        "import inspect\ninspect.stack()",
        "from inspect import currentframe as here",
        "import traceback\ntraceback.extract_stack()",
        "import gc\ngc.get_objects()",
        "import os\nos.getppid()",
        "import __main__",
        "import threading\nthreading.enumerate()",
        "name.f_back",
        "name = '/proc/self/cmdline'",
    ],
)
def test_a_look_at_the_process_is_refused_anywhere(statement: str) -> None:
    """Also where the file is called beside its plan: it may be right as long as it sees who calls."""
    assert any(each.rule == LOOKS for each in within(statement))
    assert refused(within(statement), is_bound=True)


def test_other_reaches_are_advice_where_the_file_is_called() -> None:
    """There it must answer as its plan does."""
    found = within("eval(name)")
    assert {each.rule for each in found} == {REACHES}
    assert refused(found, is_bound=True) == ()
    assert refused(found, is_bound=False) == found


@pytest.mark.parametrize("library", ["torch", "triton"])
def test_versions_may_be_asked_for(library: str) -> None:
    """Files that run on several versions do."""
    assert within(f"version = {library}.__version__.split('.')") == ()
