"""Which parts of the libraries a file in the open form reaches by name, and which of them lead elsewhere.

A path is `torch.nn.functional.pad` or `os.environ`, whatever the file calls its first part. What leads to
frames, to other modules, to files and to the code of libraries is closed; what does arithmetic is open.
"""

import importlib
import re
import sys
import types
from collections.abc import Iterator

PLAIN = frozenset(
    {
        *("__future__", "abc", "argparse", "bisect", "cmath", "collections", "collections.abc", "contextlib"),
        *("copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq"),
        *("itertools", "json", "logging", "math", "numbers", "operator", "os", "random", "re", "statistics"),
        *("struct", "sys", "textwrap", "threading", "time", "typing", "typing_extensions", "warnings"),
        *("weakref", "numpy", "numpy.random", "numpy.linalg"),
    }
)
"""Modules that compute, or that are open in part; those of PyTorch and Triton are below."""

TORCH = re.compile(
    r"torch(\.(nn|accelerator|cuda|amp|autograd|backends|compiler|fft|jit|library|linalg|ops|profiler|random|special"
    r"|testing|types|version)(\.[a-z]\w*)*)?"
)

ONLY = {
    "os": frozenset({"environ", "getenv", "cpu_count", "path", "PathLike"}),
    "torch.jit": frozenset({"export", "ignore", "is_scripting", "is_tracing", "unused"}),
    "sys": frozenset({"version_info", "version", "platform", "maxsize", "byteorder", "float_info"}),
}
"""Of these modules nothing else is open."""

CLOSED = {
    "argparse": frozenset({"FileType"}),
    "dataclasses": frozenset({"make_dataclass"}),
    "logging": frozenset({"FileHandler", "basicConfig"}),
    "operator": frozenset({"attrgetter", "methodcaller"}),
    "threading": frozenset({"setprofile", "settrace", "setprofile_all_threads", "settrace_all_threads"}),
    "typing": frozenset({"ForwardRef", "get_type_hints"}),
    "typing_extensions": frozenset({"ForwardRef", "evaluate_forward_ref", "get_type_hints"}),
    "numpy": frozenset(
        {"memmap", "fromfile", "genfromtxt", "load", "loadtxt", "save", "savetxt", "savez", "frompyfunc"}
    ),
}

TORCH_CLOSED = frozenset(
    {
        *("compile", "load", "save", "load_library", "load_inline", "from_file", "frombuffer", "hub"),
        *("export", "func", "vmap", "jiterator", "overrides", "cudart", "get_device_module"),
        *("set_default_device", "set_default_dtype", "set_default_tensor_type", "change_current_allocator"),
        "CUDAPluggableAllocator",
    }
)
"""Files, compilers, and settings of the whole process, wherever in PyTorch they lie."""

_NAME = r"(?!(os|sys|knobs|builtins|subprocess|core|compiler|driver|runtime)$)[a-zA-Z]\w*"
_LANGUAGE = (
    rf"(?!(core|extra|math|random|semantic|standard|target_info)(\.|$)){_NAME}(\.\w+)*"
    r"|(math|random|standard|extra\.cuda|extra\.(cuda\.)?libdevice)(\.(?!(core|libdevice|math|tl)$)\w+)?"
)
TRITON = re.compile(
    r"triton(\.("
    r"jit|autotune|Config|heuristics|cdiv|next_power_of_2|reinterpret|set_allocator|__version__(\.\w+)?|OutOfResources"
    r"|TensorWrapper|MockTensor"
    rf"|language(\.({_LANGUAGE}))?"
    rf"|testing(\.{_NAME})?"
    r"|tools(\.tensor_descriptor(\.TensorDescriptor(\.\w+)?)?)?"
    r"|compiler\.(CompilationError|errors\.\w*Error)|runtime\.errors\.\w+"
    r"|runtime\.(Config|autotuner\.Config|OutOfResources)"
    r"|runtime(\.driver(\.active(\.(get_current_target|get_current_device|get_current_stream|get_device_capability"
    r"|get_active_torch_device|utils(\.get_device_properties)?))?)?)?"
    r"))?"
)


CALLERS = re.compile(
    r"(os\.path\.(abspath|exists|expand\w+|get\w+|is(dir|file|junction|link|mount)|lexists)"
    r"|os\.path\.(real|rel|same)\w+|sys\.(modules|argv|orig_argv|_\w*frames?|[gs]et(trace|profile))|inspect\.(stack|trace|\w*frames?)"
    r"|traceback\.\w*[sS]tack\w*|gc\.get_\w+|os\.getppid|__main__|psutil"
    r"|threading\.(_\w+|active_count|enumerate)|kernelgate)(\.|$)"
)
"""What tells of the process, of the files around it, and of who calls: no kernel needs it."""


def tells_of_callers(path: str) -> bool:
    """Whether a path leads to what tells a file that it is judged."""
    return CALLERS.match(path) is not None


def leads_out(path: str) -> str:
    """Return the part of the path at which it leaves what is open; empty if it stays within."""
    top = path.partition(".")[0]
    if top in {"os", "threading"} and tells_of_callers(path):
        return path
    if top == "triton":
        whole = path.replace(".language.extra.cuda.libdevice", ".language.extra.libdevice")
        return "" if TRITON.fullmatch(whole) else path
    if top != "torch" and top not in PLAIN:
        return top
    return next(_ways_out(path.split(".")), "")


def is_module(path: str) -> bool:
    """Return whether the path names a module, not something in one."""
    if path.startswith("triton"):
        last = path.rpartition(".")[2]
        return last in {
            "triton",
            "language",
            "testing",
            "libdevice",
            "cuda",
            "extra",
            "tools",
            "runtime",
            "math",
        }
    place: object = _module_of(path.partition(".")[0])
    for part in path.split(".")[1:]:
        place = getattr(place, part, None)
    return isinstance(place, types.ModuleType)


def _ways_out(parts: list[str]) -> Iterator[str]:
    place: object = _module_of(parts[0])
    for number, part in enumerate(parts[1:], start=2):
        if not isinstance(place, types.ModuleType):
            return
        so_far = ".".join(parts[:number])
        if _is_closed(place.__name__, part):
            yield so_far
        place = getattr(place, part, None)
        if isinstance(place, types.ModuleType) and not _is_open(place.__name__):
            yield so_far


def _is_closed(module: str, part: str) -> bool:
    if module in ONLY:
        return part not in ONLY[module]
    if module.startswith("torch"):
        return part in TORCH_CLOSED
    return part in CLOSED.get(module, ())


def _is_open(module: str) -> bool:
    is_path = module in {"posixpath", "ntpath"}
    return module in PLAIN or is_path or TORCH.fullmatch(module) is not None


def _module_of(name: str) -> types.ModuleType | None:
    """Return a module that the file may import; None where it is not there."""
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except ImportError:
        return None
