"""What a kernel file may name: the tensors, launches and arithmetic of its libraries, and no way out of them.

A worker is a process, but the kernel file shares it with the code that writes down what it does. Python has
no wall inside a process, so the ways to other modules, frames and builtins are closed in the text. No list of
names is ever complete, and no verdict rests on this one: the system confines the worker, and answers and
times come from the file's launch plans, in processes that never see it.
"""

import ast
import re
import types
from collections.abc import Iterable, Iterator

from kernelgate.kernel_file.own_names import own_names
from kernelgate.kernel_file.source import KernelFile, dotted_name, parse_kernel
from kernelgate.kernel_file.violation import Violation

ALLOWED_IMPORTS = ("import torch", "import torch.nn as nn", "import triton", "import triton.language as tl")
"""Written so, one a line, and no others."""

MODULES = {"torch", "nn", "triton", "triton.language", "tl"}
TORCH_CLOSED = {
    *("compile", "load", "save", "from_file", "frombuffer", "hub", "export", "func", "vmap"),
    *("jiterator", "overrides", "cudart", "get_device_module", "set_default_device"),
    *("set_default_dtype", "set_default_tensor_type", "use_deterministic_algorithms", "seed"),
    *("manual_seed", "set_rng_state", "change_current_allocator", "CUDAPluggableAllocator", "MemPool"),
    *("use_mem_pool", "set_per_process_memory_fraction", "set_stream"),
}
TRITON_OPEN = {
    *("jit", "autotune", "Config", "heuristics", "cdiv", "next_power_of_2", "language", "reinterpret"),
    *("set_allocator", "constexpr_function", "__version__"),
}
TRITON_WHOLE = {
    "triton.tools.tensor_descriptor.TensorDescriptor",
    "triton.runtime.driver.active.utils.get_device_properties",
}
"""What lies in a module that is closed, and is used for launches alone."""

LANGUAGE_OPEN = re.compile(
    r"(?!(core|extra|math|random|semantic|standard|target_info)\b)\w+(\.\w+)*"
    r"|(math|random|standard|extra\.cuda|extra\.(cuda\.)?libdevice)\.(?!(core|libdevice|math|tl)$)\w+"
)
"""What of `tl` a kernel uses; its modules import others, and through those all of Python is reached."""

CLOSED_BUILTINS = {
    *("eval", "exec", "compile", "__import__", "open", "globals", "locals", "vars", "dir", "input"),
    *("breakpoint", "memoryview", "exit", "quit", "help", "delattr"),
}
BY_NAME = {"getattr", "setattr", "hasattr"}
OPEN_UNDERSCORES = {"_version", "__init__", "__name__", "__version__", "__class_getitem__"}
FRAMES = {f"{of}_{what}" for of in ("gi", "cr", "ag") for what in ("frame", "code", "await", "yieldfrom")} | {
    *("f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_locals", "f_trace"),
    *("tb_frame", "tb_next", "cr_origin", "co_consts"),
}

OUTSIDE = {"builtins", "ctypes", "gc", "importlib", "inspect", "os", "pkgutil", "subprocess", "sys"}
"""Modules that lie open in others, by whatever name those are reached."""


def check_names(kernel: KernelFile) -> tuple[Violation, ...]:
    """Return every place where the file reaches out of its libraries or changes what is not its own."""
    tree = parse_kernel(kernel)
    attributes = _bases_of_longer_names(tree)
    return _in_order([*_check_text(tree, attributes), *_check_torch_names(tree, attributes)])


def check_names_as_written(kernel: KernelFile) -> tuple[Violation, ...]:
    """Return those of them that the text alone shows: without PyTorch, whose import takes seconds."""
    tree = parse_kernel(kernel)
    return _in_order(_check_text(tree, _bases_of_longer_names(tree)))


def _bases_of_longer_names(tree: ast.AST) -> set[int]:
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _check_text(tree: ast.Module, attributes: set[int]) -> Iterator[Violation]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    own = own_names(tree)
    for node in ast.walk(tree):
        if id(node) not in own or not isinstance(node, ast.Name) or node.id not in CLOSED_BUILTINS:
            yield from _check_node(node, attributes)
        if isinstance(node, ast.Name) and node.id in BY_NAME and id(node) not in called:
            yield _violation(node, f"{node.id} by another name; allowed: {node.id}(object, 'name')")


def _in_order(found: Iterable[Violation]) -> tuple[Violation, ...]:
    return tuple(dict.fromkeys(sorted(found, key=lambda violation: violation.line)))


def _check_node(node: ast.AST, attributes: set[int]) -> Iterator[Violation]:
    if isinstance(node, ast.Attribute):
        yield from _check_attribute(node, attributes)
    elif isinstance(node, ast.Name):
        yield from _check_name(node, attributes)
    elif isinstance(node, ast.Call):
        yield from _check_call(node)
    elif isinstance(node, ast.MatchClass) and any(map(_is_hidden, node.kwd_attrs)):
        yield _violation(node, f"{ast.unparse(node)}; allowed: no hidden attributes")
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("__"):
        yield _violation(node, f"the text {node.value!r}; allowed: no hidden names")


def _check_attribute(node: ast.Attribute, attributes: set[int]) -> Iterator[Violation]:
    name = dotted_name(node)
    if _is_hidden(node.attr) and name != "self.__dict__":
        yield _violation(
            node, f".{node.attr}; allowed: no hidden attributes but {', '.join(sorted(OPEN_UNDERSCORES))}"
        )
    if isinstance(node.ctx, ast.Store | ast.Del) and not name.startswith("self."):
        yield _violation(node, f"{ast.unparse(node)} is assigned; allowed: attributes of self")
    if id(node) in attributes or not name:
        return  # a longer name that holds this one is looked at as a whole
    root, _, rest = name.partition(".")
    if name in MODULES:
        yield _violation(node, f"the module {name} by itself; allowed: what is in it, by its name")
    elif name.startswith(("tl.", "triton.language.")):
        if not LANGUAGE_OPEN.fullmatch(name.removeprefix("triton.language.").removeprefix("tl.")):
            yield _violation(node, f"{name}; allowed: what is in tl itself, tl.math or libdevice")
    elif root == "triton" and rest.split(".")[0] not in TRITON_OPEN and not _is_whole(name):
        yield _violation(node, f"{name}; allowed: triton.{', triton.'.join(sorted(TRITON_OPEN))}")


def _check_torch_names(tree: ast.AST, attributes: set[int]) -> Iterator[Violation]:
    import torch  # noqa: PLC0415 - a file that is refused for its text needs none of it

    roots = {"torch": torch, "nn": torch.nn}
    opened = {torch.nn.functional, torch.nn.init, torch.nn.parameter, torch.version}
    opened |= {torch, torch.cuda, torch.nn}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in attributes:
            root, _, rest = dotted_name(node).partition(".")
            if root in roots:
                yield from _check_torch(node, roots[root], rest.split("."), opened)


def _check_torch(
    node: ast.AST, place: object, parts: list[str], opened: set[types.ModuleType]
) -> Iterator[Violation]:
    for part in parts:
        if part in TORCH_CLOSED and isinstance(place, types.ModuleType):
            yield _violation(node, f"{part} of {ast.unparse(node)}; allowed: tensors and what moves them")
            return
        place = getattr(place, part, None)
        if isinstance(place, types.ModuleType) and place not in opened:
            yield _violation(
                node, f"the module {part} of {ast.unparse(node)}; allowed: torch, torch.cuda, torch.nn"
            )
            return
    if isinstance(place, types.ModuleType):
        yield _violation(
            node, f"the module {ast.unparse(node)} by itself; allowed: what is in it, by its name"
        )


def _check_name(node: ast.Name, attributes: set[int]) -> Iterator[Violation]:
    if node.id in CLOSED_BUILTINS or (node.id.startswith("__") and node.id != "__version__"):
        yield _violation(node, f"{node.id}; allowed: none of {', '.join(sorted(CLOSED_BUILTINS))}")
    if node.id in MODULES and id(node) not in attributes:
        yield _violation(node, f"the module {node.id} by itself; allowed: what is in it, by its name")


def _check_call(node: ast.Call) -> Iterator[Violation]:
    called = dotted_name(node.func)
    if called in BY_NAME:
        second = node.args[1] if len(node.args) > 1 else None
        if not (isinstance(second, ast.Constant) and isinstance(second.value, str)) or _is_hidden(
            second.value
        ):
            yield _violation(
                node, f"{ast.unparse(node)[:60]}; allowed: a name written out that is not hidden"
            )
        if called == "setattr" and node.args and ast.unparse(node.args[0]).partition(".")[0] != "self":
            yield _violation(node, f"{ast.unparse(node)[:60]}; allowed: attributes of self")
    if called == "type" and (len(node.args) != 1 or isinstance(node.args[0], ast.Starred)):
        yield _violation(node, "type() with three arguments; allowed: asking for a type")


def _is_whole(name: str) -> bool:
    return any(name == whole or name.startswith(f"{whole}.") for whole in TRITON_WHOLE)


def _is_hidden(attribute: str) -> bool:
    dunder = attribute.startswith("__") and attribute not in OPEN_UNDERSCORES
    return dunder or attribute in FRAMES or attribute in OUTSIDE


def _violation(node: ast.AST, what: str) -> Violation:
    return Violation(rule="reaches-out", line=getattr(node, "lineno", 1), message=f"got {what}")
