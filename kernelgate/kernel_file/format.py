"""The strict form of a kernel file, for final micro-tuning: imports, kernels, wrappers, one class."""

import ast
import re
from collections.abc import Iterator
from functools import partial
from itertools import takewhile

from kernelgate.kernel_file.source import MODEL, KernelFile, callee_name, dotted_name, is_kernel, parse_kernel
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.operations.declaration.operation import Operation

ALLOWED_IMPORTS = ("import torch", "import torch.nn as nn", "import triton", "import triton.language as tl")
"""Written so, one a line, and no others."""

_KERNEL_DECORATORS = ("triton.jit", "triton.autotune", "triton.heuristics")

_WRAPPER_DECORATORS = ("torch.no_grad()", "torch.inference_mode()")

_CONSTANT_ATTRIBUTE = re.compile(r"tl\.\w+|torch\.(bool|(bfloat|float|u?int|complex)\d\w*)")

_LITERALS = ast.Constant | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.UnaryOp | ast.BinOp | ast.keyword

_LITERAL_PARTS = ast.expr_context | ast.operator | ast.unaryop

_RANKS = {"kernel": 1, "wrapper": 2, "class": 3}

_ORDER = f"imports, @triton.jit kernels, wrapper functions, class {MODEL}"

_KINDS = {"ImportFrom": "import", "ClassDef": "class", "Assign": "assignment", "Expr": "expression"}


def check_format(kernel: KernelFile, operation: Operation) -> tuple[Violation, ...]:
    """Return every broken rule of the strict form, by line; empty if the file keeps them all."""
    checks = (
        _check_imports,
        _check_order,
        _check_statements,
        _check_everywhere,
        _check_names,
        partial(_check_parts, operation),
    )
    try:
        tree = parse_kernel(kernel)
        if ast.get_docstring(tree, clean=False) is not None:
            del tree.body[0]
        found = [violation for check in checks for violation in check(tree)]
    except UnreadableKernel as error:
        return (error.violation,)
    except RecursionError:
        # The parser builds deeper trees than Python code can follow.
        return (Violation(rule="not-python", line=1, message="got code that is nested too deeply to check"),)
    return tuple(sorted(found, key=lambda violation: (violation.line, violation.rule)))


def _find_model(tree: ast.Module) -> ast.ClassDef | None:
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == MODEL), None)


def _violation(rule: str, node: ast.stmt | ast.expr, message: str) -> Violation:
    return Violation(rule=rule, line=node.lineno, message=message)


def _kind(node: ast.stmt) -> str:
    """Return what a module-level statement is, in the words of the rules or Python's own."""
    if isinstance(node, ast.FunctionDef):
        return "kernel" if is_kernel(node) else "wrapper"
    return _KINDS.get(type(node).__name__, type(node).__name__.lower())


def _text(node: ast.AST) -> str:
    text = getattr(node, "name", None) or ast.unparse(node).partition("\n")[0]
    return f"`{text[:60]}`"


def _check_imports(tree: ast.Module) -> Iterator[Violation]:
    at_top = list(takewhile(lambda node: _kind(node) == "import", tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            if ast.unparse(node) not in ALLOWED_IMPORTS:
                message = f"got {_text(node)}; allowed, one a line: {', '.join(ALLOWED_IMPORTS)}"
                yield _violation("import-not-allowed", node, message)
            if node not in at_top:
                yield _violation("import-not-at-top", node, f"got {_text(node)}; allowed: only at the top")


def _check_order(tree: ast.Module) -> Iterator[Violation]:
    last_rank, last_text = 0, "the imports"
    for node in tree.body:
        # Constants have no rank: they may stand anywhere before the class.
        rank = _RANKS.get(_kind(node), 0)
        text = f"{_kind(node)} {_text(node)}"
        if rank < last_rank and (rank or last_rank == _RANKS["class"]):
            yield _violation("order", node, f"{text} comes after {last_text}; allowed: {_ORDER}")
        elif rank:
            last_rank, last_text = rank, text


def _check_statements(tree: ast.Module) -> Iterator[Violation]:
    constants: set[str] = set()
    for node in tree.body:
        names = _constant_names(node, constants)
        constants.update(names)
        if not names and _kind(node) not in {"import", *_RANKS} and not _is_main_guard(node):
            message = f"{_kind(node)} {_text(node)} at module level; allowed: {_ORDER}, and constants"
            yield _violation("statement-not-allowed", node, message)


def _constant_names(node: ast.stmt, known: set[str]) -> list[str]:
    """Return the names that an assignment of a constant binds; empty for any other statement."""
    is_typed = isinstance(node, ast.AnnAssign) and dotted_name(node.annotation)
    value = getattr(node, "value", None) if is_typed or isinstance(node, ast.Assign) else None
    return _bound_names(node) if value is not None and _is_constant(value, known) else []


def _is_constant(node: ast.AST, known: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in known
    if isinstance(node, ast.Attribute):
        return _CONSTANT_ATTRIBUTE.fullmatch(dotted_name(node)) is not None
    if isinstance(node, ast.Call) and callee_name(node) in {"tl.constexpr", "triton.Config"}:
        return all(_is_constant(part, known) for part in [*node.args, *node.keywords])
    parts = ast.iter_child_nodes(node)
    return isinstance(node, _LITERALS | _LITERAL_PARTS) and all(_is_constant(part, known) for part in parts)


def _bound_names(node: ast.stmt) -> list[str]:
    """Return the names that a module-level statement binds; empty if it is none that may bind any."""
    if isinstance(node, ast.Import):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    return names if len(names) == len(targets) else []


def _is_main_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in map(dotted_name, ast.walk(node.test))


def _check_everywhere(tree: ast.Module) -> Iterator[Violation]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _is_main_guard(node):
            yield _violation("main-guard", node, f"got {_text(node)}; allowed: no code of a script")
        if isinstance(node, ast.FunctionDef) and is_kernel(node) and node not in tree.body:
            yield _violation("order", node, f"kernel {_text(node)} is nested; allowed: {_ORDER}")
        if isinstance(node, ast.AsyncFunctionDef) and node not in tree.body:
            yield _violation("statement-not-allowed", node, f"async {_text(node)}; allowed: plain def")
        if isinstance(node, ast.ClassDef) and node is not _find_model(tree):
            yield _violation("class-not-allowed", node, f"class {_text(node)}; allowed: {MODEL} alone, once")
        name = getattr(node, "name", None) or dotted_name(node)
        if isinstance(node, ast.stmt | ast.expr) and name in {"get_inputs", "get_init_inputs"}:
            yield _violation("test-inputs", node, f"got `{name}`; allowed: none, the gate makes the inputs")


def _check_names(tree: ast.Module) -> Iterator[Violation]:
    lines: dict[str, int] = {}
    for node in tree.body:
        for name in _bound_names(node):
            # The later one would run where a rule may have looked at the earlier one.
            if name in lines:
                message = f"`{name}` is bound on line {lines[name]} already; allowed: once"
                yield _violation("name-rebound", node, message)
            lines.setdefault(name, node.lineno)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if node.name.startswith(("test", "Test")):
                yield _violation("testing-code", node, f"{_kind(node)} {_text(node)}; allowed: no tests")
            yield from _check_decorators(node)


def _check_decorators(node: ast.FunctionDef | ast.ClassDef) -> Iterator[Violation]:
    allowed = {"kernel": _KERNEL_DECORATORS, "wrapper": _WRAPPER_DECORATORS}.get(_kind(node), ())
    for decorator in node.decorator_list:
        got = callee_name(decorator) if is_kernel(node) else ast.unparse(decorator)
        if got not in allowed:
            message = f"got {_text(decorator)} on {_kind(node)} {_text(node)}; allowed: {', '.join(allowed)}"
            yield _violation("decorator-not-allowed", decorator, message)


def _check_parts(operation: Operation, tree: ast.Module) -> Iterator[Violation]:
    for kind in {"kernel", "wrapper"} - {_kind(node) for node in tree.body}:
        yield Violation(rule=f"{kind}-missing", line=1, message=f"got no {kind}; allowed: one or more")
    if (model := _find_model(tree)) is not None:
        yield from _check_model(operation, model)
    else:
        yield Violation(rule="model-missing", line=1, message=f"got no class {MODEL}; allowed: one, last")


def _check_model(operation: Operation, model: ast.ClassDef) -> Iterator[Violation]:
    bases = [ast.unparse(base) for base in [*model.bases, *model.keywords]]
    if bases not in (["nn.Module"], ["torch.nn.Module"]):
        yield _violation("model-base", model, f"{MODEL} has bases {bases}; allowed: nn.Module alone")
    methods = {node.name: node for node in model.body if isinstance(node, ast.FunctionDef)}
    init, forward = methods.get("__init__"), methods.get("forward")
    if init and (required := required_arguments(init)):
        yield _violation("model-init", init, f"__init__ requires {required}; allowed: self alone")
    required = required_arguments(forward) if forward else []
    if len(required) != len(operation.inputs):
        names = ", ".join(each.name for each in operation.inputs)
        message = f"forward requires {required}; allowed, besides self: {names}"
        yield _violation("model-forward", forward or model, message)
    stored = (node for node in ast.walk(model) if isinstance(getattr(node, "ctx", None), ast.Store))
    layer = operation.layer
    if layer and f"self.{layer}" not in map(dotted_name, stored):
        yield _violation(
            "model-layer", model, f"no method of {MODEL} assigns self.{layer}; allowed: one does"
        )


def required_arguments(method: ast.FunctionDef) -> list[str]:
    """Return the names of the arguments that a call of the bound method cannot leave out."""
    spec = method.args
    positional = [*spec.posonlyargs, *spec.args]
    required = positional[1 : len(positional) - len(spec.defaults)]
    required += [item for item, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if not default]
    return [item.arg for item in required]
