"""What a kernel file may name: each way out is refused with its line, what kernels are made of is not."""

from pathlib import Path

import pytest

from kernelgate.kernel_file.allowed_names import check_names, check_names_as_written
from kernelgate.kernel_file.source import KernelFile
from kernelgate.kernel_file.violation import Violation

ROOT = Path(__file__).parents[3]
KERNELS = sorted([*ROOT.glob("kernels/*.py"), *ROOT.glob("docs/examples/*/kernel.py")])

HEAD = """import torch
import torch.nn as nn
import triton
import triton.language as tl


def wrapper(self, x, name):
"""
LINE = HEAD.count("\n") + 1


def check(statement: str) -> tuple[Violation, ...]:
    """Return what is refused of a wrapper that has the statement for its body."""
    body = "\n".join(f"    {line}" for line in statement.splitlines())
    source = f"{HEAD}{body}\n"
    return check_names(KernelFile(path="k.py", sha256="0" * 64, source=source))


@pytest.mark.parametrize(
    "statement",
    [
        "torch.os.system('true')",
        "torch.sys.modules",
        "torch._C._cuda_getDeviceCount()",
        "torch.utils.cpp_extension.load(name)",
        "torch.ops.aten.convolution(x)",
        "torch.jit.script(x)",
        "torch.library.custom_op",
        "torch.cuda.sys.modules",
        "torch.cuda.os",
        "torch.nn.modules.conv.Conv2d",
        "nn.modules.conv.os",
        "torch.nn.functional.torch.os",
        "torch.backends.cudnn.allow_tf32",
        "triton.compiler.compile(x)",
        "triton.runtime.driver.active.get_current_device()",
        "triton.knobs.runtime",
        "triton.testing.do_bench(x)",
        "triton.tools.tensor_descriptor.os",
        "triton.JITFunction",
        "triton.language.core.builtins.exec(name)",
        "tl.core.builtins.exec(name)",
        "tl.core",
        "tl.core.knobs",
        "tl.extra.pkgutil.get_data(name)",
        "tl.extra.cuda.libdevice.core",
        "tl.math.core.builtins",
        "tl.standard.core",
        "tl.random.tl.builtins",
    ],
)
def test_a_module_of_others_is_closed(statement: str) -> None:
    """By whatever path it is reached: through it lie files, processes and the code of the worker."""
    assert check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "m = torch",
        "m = nn",
        "m = tl",
        "m = triton",
        "m = torch.cuda",
        "m = torch.nn.functional",
        "m = triton.language",
        "getattr(torch, 'os')",
        "getattr(torch.cuda, 'os')",
        "getattr(tl, 'core')",
        "[torch.nn]",
        "match torch.cuda:\n    case object(os=m):\n        m.system(name)",
    ],
)
def test_a_module_by_itself_is_closed(statement: str) -> None:
    """Under another name, what is taken out of it would not be seen."""
    assert any("by itself" in str(each) for each in check(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "torch.get_device_module('cuda').os.system(name)",
        "kernel.get_capture_scope()['torch'].os.system(name)",
        "[torch.Tensor][0].sys",
        "x.y().builtins.exec(name)",
        "getattr(self.module, 'subprocess')",
    ],
)
def test_what_leads_out_is_closed_wherever_it_lies(statement: str) -> None:
    """Also on what a call or an index gives back."""
    assert check(statement)


@pytest.mark.parametrize(
    "name",
    [
        *("compile", "load", "save", "from_file", "frombuffer", "hub", "export", "vmap", "func"),
        *(
            "set_default_device",
            "set_default_dtype",
            "set_default_tensor_type",
            "use_deterministic_algorithms",
        ),
        *("set_rng_state", "seed", "manual_seed", "overrides", "get_device_module"),
    ],
)
def test_what_is_no_work_on_tensors_is_closed_in_torch(name: str) -> None:
    """Compilers, files, and settings of the whole process."""
    (found,) = check(f"torch.{name}(x)")
    assert name in found.message


@pytest.mark.parametrize(
    "statement",
    [
        "x.__class__",
        "x.__dict__",
        "wrapper.__globals__",
        "self.forward.__func__",
        "super().__getattribute__(name)",
        "().__class__.__base__.__subclasses__()",
        "error.__traceback__",
        "error.tb_frame",
        "frame.f_back",
        "frame.f_globals",
        "frame.f_locals",
        "frame.f_builtins",
        "generator.gi_frame",
        "routine.cr_frame",
        "generator.ag_frame",
        "generator.gi_code",
        "getattr(x, '__class__')",
        "hasattr(x, '__globals__')",
        "getattr(generator, 'gi_frame')",
        "key = '__globals__'",
        "key = f'__{name}__'",
        "match x:\n    case object(__class__=kind):\n        pass",
        "match frame:\n    case object(f_back=other):\n        pass",
        "__builtins__",
        "__class__",
        "__loader__",
    ],
)
def test_what_is_hidden_stays_hidden(statement: str) -> None:
    """Attributes, names and texts of Python's own, and the frames of whoever called."""
    assert check(statement)


@pytest.mark.parametrize(
    "name",
    [
        *("eval", "exec", "compile", "__import__", "open", "globals", "locals", "vars", "dir", "input"),
        *("breakpoint", "memoryview", "exit", "quit", "help", "delattr"),
    ],
)
def test_a_builtin_that_leads_out_is_closed(name: str) -> None:
    """Called or under another name; an attribute of that name is another matter."""
    assert check(f"{name}(x)")
    assert check(f"alias = {name}")
    assert bool(check(f"self.{name} = x")) == name.startswith("__")


@pytest.mark.parametrize(
    "statement",
    [
        "getattr(x, name)",
        "getattr(x, 'a' + 'b')",
        "getattr(x, f'{name}')",
        "getattr(*name)",
        "getattr(x)",
        "hasattr(x, name)",
        "setattr(self, name, x)",
        "setattr()",
        "setattr(**name)",
        "look = getattr",
        "map(getattr, name, name)",
        "put = setattr",
        "type('Kind', (), {})",
        "type(*name)",
    ],
)
def test_a_name_is_written_out_where_it_is_used(statement: str) -> None:
    """What is put together while running says nothing in the text, nor does a look-up by another name."""
    assert check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "torch.empty = wrapper",
        "torch.Tensor.numpy = wrapper",
        "torch.cuda.synchronize = wrapper",
        "tl.load = wrapper",
        "triton.Config.kwargs = x",
        "nn.Module.forward = wrapper",
        "x.grad = None",
        "x.data = x",
        "type(self).forward = wrapper",
        "ModelNew.forward = wrapper",
        "x[0].data = x",
        "selfish.count = 1",
        "torch.equal += 1",
        "del torch.empty",
        "for torch.empty in x:\n    pass",
        "with x as torch.empty:\n    pass",
        "setattr(torch.Tensor, 'numpy', x)",
        "setattr(x, 'data', x)",
        "setattr(type(self), 'forward', x)",
    ],
)
def test_what_is_not_its_own_is_not_changed(statement: str) -> None:
    """What shares a process with the one who writes its answer down changes attributes of self only."""
    assert check(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "self.cache = {}",
        "self.count += 1",
        "del self.cache",
        "self.conv1.weight.data = x",
        "setattr(self, 'cache', x)",
        "self.__dict__['cache'] = x",
        "self.f_grid = self.co_block = self.ag = 3",
        "self.__init__()",
        "super().__init__()",
        "out = torch.empty((3, 96), device=x.device, dtype=torch.float32)",
        "out = torch.nn.functional.pad(x, (2, 2, 2, 2))",
        "out = nn.functional.pad(x, (2, 2, 2, 2))",
        "conv = nn.Conv2d(3, 96, 11, stride=4, padding=2)",
        "w = nn.Parameter(x)",
        "stream = torch.cuda.current_stream()",
        "torch.cuda.synchronize()",
        "with torch.cuda.stream(torch.cuda.Stream()):\n    pass",
        "many = torch.cuda.get_device_properties(x.device).multi_processor_count",
        "graph = torch.cuda.CUDAGraph()",
        "with torch.no_grad():\n    pass",
        "assert torch.version.cuda and torch.__version__",
        "pad = getattr(self.conv1, 'padding')",
        "bias = getattr(self.conv1, 'bias', None)",
        "assert hasattr(self, 'cache')",
        "fresh = x._version",
        "name = type(x).__name__",
        "assert isinstance(x, torch.Tensor)",
        "grid = (triton.cdiv(3025, 64), triton.next_power_of_2(96))",
        "tune = triton.autotune(configs=[triton.Config({'B': 32}, num_warps=4)], key=[])",
        "triton.set_allocator(wrapper)",
        "block = triton.tools.tensor_descriptor.TensorDescriptor(x, [3], [1], [64])",
        "block = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor(x, [64])",
        "sms = triton.runtime.driver.active.utils.get_device_properties(0)['multiprocessor_count']",
        "kernel[(1,)](x, BLOCK=64, num_warps=4)",
        "total = tl.zeros((32, 32), dtype=tl.float32)",
        "total = tl.dot(x, x, total, input_precision='tf32')",
        "bits = tl.float32.primitive_bitwidth",
        "value = tl.math.exp(x) + tl.extra.cuda.libdevice.rint(x) + tl.extra.libdevice.rint(x)",
        "value = triton.language.load(x)",
        "size: tl.constexpr = 3",
        "message = f'{name}: wrong {x.shape}'",
        "text = 'a __dunder__ inside'",
        "text = 'a \\d that Python warns of'",
        "strides = dict(zip('nchw', x.stride()))",
        "match x.dim():\n    case 4:\n        pass",
        "match x:\n    case torch.Tensor(ndim=4):\n        pass",
    ],
)
def test_what_kernels_are_made_of_is_open(statement: str) -> None:
    """Tensors and what moves them, launches and their settings, streams, and everything of self."""
    assert check(statement) == ()


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_kernels_at_hand_reach_nowhere(file: Path) -> None:
    """The accepted kernel and every example."""
    assert check_names(KernelFile(path=str(file), sha256="0" * 64, source=file.read_text())) == ()


def test_every_place_is_named_by_its_line_in_order() -> None:
    """Each once, under one rule, with what was got and what is allowed."""
    found = check("y = eval('x')\n\ntorch.empty = torch.utils\nz = x.__class__")
    assert [each.line for each in found] == [LINE, LINE + 2, LINE + 2, LINE + 3]
    assert {each.rule for each in found} == {"reaches-out"}
    assert all("got " in each.message and "; allowed" in each.message for each in found)


def test_what_the_text_shows_is_part_of_what_is_refused() -> None:
    """What lies in PyTorch is left to the whole check, and only that."""
    source = f"{HEAD}    y = eval('x')\n    z = torch.hub\n    return torch.sys\n"
    kernel = KernelFile(path="k.py", sha256="0" * 64, source=source)
    written, everything = check_names_as_written(kernel), check_names(kernel)
    assert [each.line for each in written] == [LINE, LINE + 2]
    assert set(written) < set(everything)
    assert [each.line for each in everything if each not in written] == [LINE + 1, LINE + 2]
