"""The open form of a kernel file: what people write, in any order, with the few parts that the gate calls."""

import ast
from collections.abc import Iterator

from kernelgate.kernel_file.format import required_arguments
from kernelgate.kernel_file.own_names import bound_names
from kernelgate.kernel_file.source import MODEL, KernelFile, callee_name, parse_kernel
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.operations.declaration.operation import Operation


def check_open_form(kernel: KernelFile, operation: Operation) -> tuple[Violation, ...]:
    """Return which part that the gate needs is missing or cannot be called, by line; empty if none.

    A model that asks for the operation's `model_arguments` is given them; others come from the file's
    get_init_inputs.
    """
    try:
        tree = parse_kernel(kernel)
        found = [*_check_parts(tree), *_check_model(tree, operation)]
    except UnreadableKernel as error:
        return (error.violation,)
    except RecursionError:
        return (Violation(rule="not-python", line=1, message="got code that is nested too deeply to check"),)
    return tuple(sorted(found, key=lambda violation: (violation.line, violation.rule)))


def _check_parts(tree: ast.Module) -> Iterator[Violation]:
    decorated = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    jitted = [each for node in decorated for each in node.decorator_list if _is_jit(each)]
    if not jitted:
        message = "got no function decorated with triton.jit; allowed: one or more, whose launches compute"
        yield Violation(rule="kernel-missing", line=1, message=message)
    if MODEL not in bound_names(tree):
        has = ", ".join(node.name for node in tree.body if isinstance(node, ast.ClassDef)) or "no class"
        message = f"got {has}; allowed: a class {MODEL}, since {MODEL}()(x) is what is judged"
        yield Violation(rule="model-missing", line=1, message=message)


def _is_jit(decorator: ast.expr) -> bool:
    return callee_name(decorator).rpartition(".")[2] == "jit"


def _check_model(tree: ast.Module, operation: Operation) -> Iterator[Violation]:
    models = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == MODEL)
    methods = {
        node.name: node for model in models for node in model.body if isinstance(node, ast.FunctionDef)
    }
    required = required_arguments(methods["__init__"]) if "__init__" in methods else []
    required = required[len(operation.model_inputs) :]
    unknown = [name for name in required if name not in operation.model_arguments]
    if unknown and "get_init_inputs" not in bound_names(tree):
        message = f"__init__ requires {unknown}; allowed: defaults, or a get_init_inputs() that returns them"
        yield _violation("model-init", methods["__init__"], message)
    required = required_arguments(methods["forward"]) if "forward" in methods else []
    if "forward" in methods and len(required) != len(operation.inputs):
        names = ", ".join(each.name for each in operation.inputs)
        message = f"forward requires {required}; allowed: {names}, and whatever has a default"
        if operation.parameters:
            stored = ", ".join(operation.stored_parameters)
            message += f"; make the parameters in __init__, by these names or of these shapes: {stored}"
        yield _violation("model-forward", methods["forward"], message)


def _violation(rule: str, node: ast.FunctionDef, message: str) -> Violation:
    return Violation(rule=rule, line=node.lineno, message=message)
