"""Which names are the file's own: a doubt is none of them, since a builtin may stand there."""

import ast

import pytest

from kernelgate.kernel_file.own_names import bound_names, local_names, own_names


def reads_its_own(source: str, name: str = "open") -> list[bool]:
    """Return, for each place that reads the name, in the order of the text, whether it is the file's own."""
    tree = ast.parse(source)
    own = own_names(tree)
    reads = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    loads = sorted(
        (node for node in reads if isinstance(node.ctx, ast.Load)), key=lambda n: (n.lineno, n.col_offset)
    )
    return [id(node) in own for node in loads]


@pytest.mark.parametrize(
    "source",
    [
        "def f(open):\n    return open",
        "def f(*, open=3):\n    return open",
        "def f(*open):\n    return [open for _ in open]",
        "def f(open):\n    def g():\n        return open\n    return g",
        "def f():\n    open = 3\n    return open",
        "def f(x):\n    for open in x:\n        print(open)",
        "def f(x):\n    with x as open:\n        return open",
        "def f():\n    def open(): pass\n    return open()",
        "f = lambda open: open",
        "x = [open for open in y]",
        "open = 3\nx = open",
        "def open(): pass\n\nx = open()",
        "class open: pass\n\ndef f():\n    return open()",
    ],
)
def test_what_a_function_or_the_module_binds_is_its_own(source: str) -> None:
    """Arguments, variables, loops, functions and classes."""
    assert all(reads_its_own(source))


@pytest.mark.parametrize(
    "source",
    [
        "x = open",
        "x = open\nopen = 3",
        "open = 3; x = open",
        "open = (\n    open\n)",
        "def f(x=open): pass",
        "def f(x: open): pass",
        "@open\ndef f(open): pass",
        "class A(open):\n    open = 3",
        "def f(open):\n    class A:\n        open = open",
        "def f(open):\n    def g():\n        global open\n        return open",
        "if x:\n    open = 3\ny = open",
        "open = 3\ndel open\nx = open",
        "open = 3\ntry:\n    pass\nexcept E as open:\n    pass\nx = open",
        "x = [open for y in open]",
        "[(open, (open := 1)) for y in z]",
        "def f():\n    open = 3\n\nx = open",
        "open: int\nx = open",
        "x = {open: 1 for y in z}",
    ],
)
def test_what_may_be_a_builtin_is_not_its_own(source: str) -> None:
    """Before it is bound, after it is unbound, around the scope that binds it, or bound only at times."""
    assert not all(reads_its_own(source))


def test_what_only_the_module_binds_is_local_to_no_function() -> None:
    """A module that a file imports is bound by the file, and by no function of it."""
    tree = ast.parse("import torch\n\ndef f(x):\n    return torch, x")
    local = local_names(tree)
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) in local}
    assert read == {"x"}
    assert bound_names(tree) == {"torch", "f"}
