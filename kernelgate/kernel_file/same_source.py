"""Two kernel files that differ in names only, and in the configurations that they list."""

import ast
import builtins
from collections.abc import Iterator

from kernelgate.kernel_file.source import MODEL, KernelFile, callee_name, is_kernel, parse_kernel
from kernelgate.kernel_file.violation import UnreadableKernel

_MODULES = frozenset({"torch", "nn", "triton", "tl"})
_NEVER_RENAMED = frozenset({MODEL, "forward", *dir(builtins)})
# Code that asks for names at run time may notice a renaming, so it must not be renamed at all.
_SCOPE_READERS = frozenset({"globals", "locals", "vars", "dir", "eval", "exec", "compile"})
_OBJECT_READERS = frozenset({"getattr", "setattr", "hasattr", "delattr", "repr", "str", "ascii", "format"})
_NAME_READERS = _SCOPE_READERS | _OBJECT_READERS
_READ_ATTRIBUTES = frozenset({"src", "raw_src", "fn", "arg_names", "signature"})
_CONFIG_KEYWORDS = frozenset({"kwargs", "num_warps", "num_stages", "num_ctas", "maxnreg"})
_FIXED_FIELDS = frozenset({"attr", "kwd_attrs", "kind", "type_comment"})
_PLAIN = ast.List | ast.Tuple | ast.Dict | ast.Constant | ast.expr_context


class _DifferentShapeError(Exception):
    """The two trees part in more than names."""


def same_source(first: KernelFile, second: KernelFile) -> bool:
    """Whether one renaming of bound names turns the first file into the second.

    Comments, docstrings and the values of autotune configs are left out. All else takes part, the bodies of
    kernels too: what they compile to at one batch says nothing of the others. A doubt is False: so are files
    that do not parse.
    """
    try:
        trees = [parse_kernel(file) for file in (first, second)]
        for tree in trees:
            _drop_configs_of(tree)
        if any(map(_reads_names, trees)):
            return ast.dump(trees[0]) == ast.dump(trees[1])
        bound = [_bound_names(tree) for tree in trees]
        for tree in trees:
            _drop_texts(tree)
        pairs = set(_align(trees[0], trees[1], is_fixed=False))
    except (UnreadableKernel, RecursionError, _DifferentShapeError):
        return False
    shadows_module = any(names & _MODULES for names in bound)
    renamable = [
        names - _class_names(tree) - _NEVER_RENAMED for names, tree in zip(bound, trees, strict=True)
    ]
    return not shadows_module and _is_renaming(pairs, renamable[0], renamable[1])


def _is_renaming(pairs: set[tuple[str, str]], first_names: set[str], second_names: set[str]) -> bool:
    """Whether the pairs map one to one, and only names that may be renamed to another."""
    is_one_to_one = len(pairs) == len(dict(pairs)) == len({second for _, second in pairs})
    renamed = [(first, second) for first, second in pairs if first != second]
    return is_one_to_one and all(
        _may_rename(first, first_names) and _may_rename(second, second_names) for first, second in renamed
    )


def _may_rename(name: str, bound: set[str]) -> bool:
    return name in bound and not name.startswith("__")


def _align(first: object, second: object, *, is_fixed: bool) -> Iterator[tuple[str, str]]:
    """Yield the texts at the same places of two trees; raises _DifferentShapeError where the trees part.

    String constants and keywords count as names: otherwise two arguments that swap their names would look
    alike to a call that gives them by name.
    """
    if type(first) is not type(second):
        raise _DifferentShapeError
    if isinstance(first, ast.AST):
        for field in first._fields:
            fixed = field in _FIXED_FIELDS or isinstance(first, ast.alias | ast.ImportFrom)
            yield from _align(getattr(first, field, None), getattr(second, field, None), is_fixed=fixed)
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            raise _DifferentShapeError
        for mine, other in zip(first, second, strict=True):
            yield from _align(mine, other, is_fixed=is_fixed)
    elif isinstance(first, str) and isinstance(second, str) and not is_fixed:
        yield first, second
    elif first != second:
        raise _DifferentShapeError


def _bound_names(tree: ast.Module) -> set[str]:
    """Return the names that assignments, arguments, functions and classes bind."""
    return {name for node in ast.walk(tree) if (name := _bound_name(node))}


def _bound_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Name):
        return node.id if isinstance(node.ctx, ast.Store) else None
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler):
        return node.name
    return None


def _class_names(tree: ast.Module) -> set[str]:
    """Return the names bound in class bodies: they are attributes, which a base class may look up."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    nodes = (
        part
        for statement in (statement for body in bodies for statement in body)
        for part in ([statement] if isinstance(statement, ast.FunctionDef) else ast.walk(statement))
    )
    return {name for node in nodes if (name := _bound_name(node))}


def _reads_names(tree: ast.Module) -> bool:
    return any(
        (isinstance(node, ast.Name) and (node.id in _NAME_READERS or node.id.startswith("__")))
        or (isinstance(node, ast.Attribute) and _is_reading_attribute(node.attr))
        for node in ast.walk(tree)
    )


def _is_reading_attribute(name: str) -> bool:
    return name in _READ_ATTRIBUTES or (name.startswith("__") and name != "__init__")


def _drop_configs_of(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and is_kernel(node):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and callee_name(decorator) == "triton.autotune":
                    _drop_configs(decorator)


def _drop_configs(autotune: ast.Call) -> None:
    if autotune.args and _is_plain(autotune.args[0]):
        autotune.args[0] = ast.List(elts=[], ctx=ast.Load())
    for keyword in autotune.keywords:
        if keyword.arg == "configs" and _is_plain(keyword.value):
            keyword.value = ast.List(elts=[], ctx=ast.Load())


def _is_plain(node: ast.AST) -> bool:
    """Whether configs are literals only: a hook or an expression among them does something."""
    if isinstance(node, ast.Call):
        is_config = callee_name(node) == "triton.Config" and len(node.args) <= 3
        has_known_keywords = all(keyword.arg in _CONFIG_KEYWORDS for keyword in node.keywords)
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        return is_config and has_known_keywords and all(map(_is_plain, values))
    return isinstance(node, _PLAIN) and all(map(_is_plain, ast.iter_child_nodes(node)))


def _drop_texts(tree: ast.Module) -> None:
    """Take out docstrings, and tie keywords of library calls to their callee."""
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and _has_docstring(node):
            del node.body[0]
        if isinstance(node, ast.Call) and _is_library_call(node):
            for keyword in node.keywords:
                # Not an identifier any more: an argument of the same name may then be renamed.
                keyword.arg = keyword.arg and f"{callee_name(node)}:{keyword.arg}"


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)


def _is_library_call(call: ast.Call) -> bool:
    module, _, function = callee_name(call).partition(".")
    return module in _MODULES and function.isidentifier()
