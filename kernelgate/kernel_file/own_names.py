"""Which names of a kernel file are its own: a parameter called `input` is not the builtin of that name."""

import ast
from collections.abc import Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_names(tree: ast.Module) -> set[int]:
    """Return the `id` of each name node that a function or the module itself has bound where it stands.

    At module level only what is bound on an earlier line counts, whatever else comes to pass. What is unsure
    is not its own.
    """
    unbound = {name for node in ast.walk(tree) for name in _unbinds(node)}
    lines: dict[str, int] = {}
    for node in tree.body:
        for name in _bound_by(node):
            lines.setdefault(name, node.end_lineno or node.lineno)
    lines = {name: line for name, line in lines.items() if name not in unbound}
    return set(_own_within(tree, frozenset(), lines))


def local_names(tree: ast.Module) -> set[int]:
    """Return the `id` of each name node that a function around it has bound."""
    return set(_own_within(tree, frozenset(), {}))


def bound_names(tree: ast.Module) -> set[str]:
    """Return every name that the file binds somewhere, arguments aside."""
    return {name for node in ast.walk(tree) for name in _binds(node)}


def _own_within(node: ast.AST, local: frozenset[str], lines: dict[str, int]) -> Iterator[int]:
    if isinstance(node, ast.Name):
        if node.id in local or lines.get(node.id, node.lineno) < node.lineno:
            yield id(node)
        return
    inner = local
    if isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS)):
        inner = (local - _declared_elsewhere(node)) | _bound_in(node)
    elif isinstance(node, ast.ClassDef):
        inner = local - _bound_in(node)  # which a class body looks up among the builtins until it binds them
    for outside, part in _parts(node):
        yield from _own_within(part, local if outside else inner, lines)


def _parts(node: ast.AST) -> Iterator[tuple[bool, ast.AST]]:
    """Yield the parts of a node, and whether each is evaluated in the scope around it."""
    outside: set[int] = set()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        outside = {id(part) for part in [*node.decorator_list, *ast.walk(node.args)]}
        outside |= {id(node.returns)}
    elif isinstance(node, ast.Lambda):
        outside = {id(node.args)}
    elif isinstance(node, ast.ClassDef):
        outside = {id(part) for part in [*node.decorator_list, *node.bases, *node.keywords]}
    elif isinstance(node, _COMPREHENSIONS):
        first = node.generators[0]
        yield True, first.iter
        for part in [*ast.iter_child_nodes(first), *ast.iter_child_nodes(node)]:
            if part is not first.iter and part is not first:
                yield False, part
        return
    for part in ast.iter_child_nodes(node):
        yield id(part) in outside, part


def _bound_in(scope: ast.AST) -> frozenset[str]:
    """Return the names that a function, a comprehension or a class binds for itself."""
    names: set[str] = set()
    if isinstance(scope, _FUNCTIONS):
        names |= {each.arg for each in ast.walk(scope.args) if isinstance(each, ast.arg)}
    for node in _within_scope(scope):
        names.update(_binds(node))
    return frozenset(names - _declared_elsewhere(scope))


def _declared_elsewhere(scope: ast.AST) -> frozenset[str]:
    """Return the names that a scope says are the module's."""
    found = [node for node in _within_scope(scope) if isinstance(node, ast.Global)]
    return frozenset(name for node in found for name in node.names)


def _within_scope(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope's body but for those of scopes within it."""
    body = getattr(scope, "body", None)
    waiting = list(body) if isinstance(body, list) else list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.NamedExpr) and isinstance(scope, _COMPREHENSIONS):
            continue  # binds a name of the scope around the comprehension
        yield node
        if not isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Yield what a statement of the module binds, whatever else comes to pass."""
    bound: list[ast.AST] = [statement]
    if isinstance(statement, ast.Assign):
        bound = [node for target in statement.targets for node in ast.walk(target)]
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        bound = [statement.target]
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        bound = list(statement.names)
    for node in bound:
        yield from _binds(node)


def _binds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name


def _unbinds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Delete):
        yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name  # at the end of its clause
