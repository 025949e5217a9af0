"""Where a file could reach the process that records it, or looks at who calls it: for advice, or a refusal.

Numbers come from launch plans. On a GPU a file in the open form is called too, and must answer as its plan
does: there most of these places are advice. Without a GPU nothing holds the file to its plan, and in the
strict form nothing needs them, so they are refused. Who looks at frames, arguments and modules is refused
anywhere: it can be right as long as it sees the gate. No list of names is ever complete: what gets past this
one has a plan that is judged all the same.
"""

import ast
from collections.abc import Iterator

from kernelgate.kernel_file.library_paths import is_module, leads_out, tells_of_callers
from kernelgate.kernel_file.own_names import bound_names, local_names, own_names
from kernelgate.kernel_file.source import KernelFile, callee_name, dotted_name, is_main_guard, parse_kernel
from kernelgate.kernel_file.violation import UnreadableKernel, Violation

BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "open", "globals", "memoryview", "breakpoint"})
BY_NAME = frozenset({"getattr", "setattr", "delattr", "vars"})
OWN_UNDERSCORES = frozenset(
    {
        *("__all__", "__annotations__", "__author__", "__call__", "__class__", "__class_getitem__"),
        *("__dataclass_fields__", "__doc__", "__enter__", "__exit__", "__getitem__", "__init__"),
        *("__len__", "__module__", "__name__", "__post_init__", "__qualname__", "__repr__", "__str__"),
        "__version__",
    }
)
"""Of Python's hidden names those that tell or call what is the file's own."""

FRAMES = frozenset(
    {f"{of}_{what}" for of in ("gi", "cr", "ag") for what in ("frame", "code", "await", "yieldfrom")}
    | {"f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_locals", "f_trace"}
    | {"tb_frame", "tb_next", "cr_origin", "co_consts", "get_capture_scope", "used_global_vals"}
)
ELSEWHERE = frozenset(
    {
        *("builtins", "ctypes", "gc", "importlib", "inspect", "os", "pkgutil", "subprocess", "sys", "tofile"),
        "kernelgate",
    }
)
"""What leads out wherever it lies, in a module by another name as well."""

SET_ANYWHERE = frozenset({"bias", "block_shape", "data", "grad", "requires_grad", "weight"})
"""Attributes that honest code sets of a tensor, a layer or a descriptor that it was given."""

MAX_PATHS, MANY = 64, "too many things"
"""That one name stands for: `a = a.b` never ends."""

REACHES, LOOKS = "reaches-out", "looks-around"
"""The rules: a way to the recorder, and a look at the process and its callers."""

LEAVE_OUT = "leave it out: no kernel depends on the process, its files or its place"
PROCESSES = "/proc/"
HARMLESS_SETTINGS = "torch.backends."


def find_reaches(kernel: KernelFile) -> tuple[Violation, ...]:
    """Return every place where the file could reach out, by line; raises UnreadableKernel."""
    try:
        tree = parse_kernel(kernel)
        _prune(tree)
        finder = _Finder(tree)
        found = {violation: None for node in ast.walk(tree) for violation in finder.check(node)}
    except RecursionError:
        message = "got code that is nested too deeply to check"
        raise UnreadableKernel(kernel.path, "not-python", message, 1) from None
    return tuple(sorted(found, key=lambda violation: violation.line))


def refused(found: tuple[Violation, ...], *, is_bound: bool) -> tuple[Violation, ...]:
    """Return what of this is no mere advice; `is_bound` says that the file is called, as its plan is."""
    around = tuple(each for each in found if each.rule == LOOKS)
    return around or (() if is_bound else found)


def _prune(tree: ast.Module) -> None:
    """Drop what runs as a script alone, and make attributes of getattr and hasattr with a plain name."""
    if "__name__" not in bound_names(tree):
        for node in tree.body:
            if isinstance(node, ast.If) and is_main_guard(node):
                node.body = [ast.copy_location(ast.Pass(), node)]
    _AsAttributes().visit(tree)


class _AsAttributes(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.args[1] if len(node.args) > 1 else None
        is_asked = isinstance(node.func, ast.Name) and node.func.id in {"getattr", "hasattr"}
        if not (is_asked and isinstance(name, ast.Constant) and isinstance(name.value, str)):
            return node
        attribute = ast.Attribute(value=node.args[0], attr=name.value, ctx=ast.Load())
        return ast.copy_location(
            ast.Tuple(elts=[ast.copy_location(attribute, node), *node.args[2:]], ctx=ast.Load()), node
        )


class _Finder:
    """What the file calls the libraries' parts, and which names and objects are its own."""

    def __init__(self, tree: ast.Module) -> None:
        self.own, self.local = own_names(tree), local_names(tree)
        self.paths = _imported_paths(tree)
        self.reimported = {
            name for node in ast.walk(tree) if node not in tree.body for name in _imports(node)
        }
        self.inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        self.called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        aliases = _alias_statements(tree)
        self.aliases = {id(node.value) for node in aliases}
        self.selves = _own_objects(tree)
        self._follow(aliases)

    def _follow(self, aliases: list[ast.Assign]) -> None:
        """Find what each alias stands for, also where it is one of an alias that stands further down."""
        of_name: dict[str, list[ast.Assign]] = {}
        for node in aliases:
            of_name.setdefault(dotted_name(node.value).partition(".")[0], []).append(node)
        waiting = list(self.paths)
        while waiting:
            for node in of_name.get(waiting.pop(), ()):
                alias = dotted_name(node.targets[0])
                before, self.paths[alias] = self.paths.get(alias, set()), self._paths_with(alias, node.value)
                if self.paths[alias] != before:
                    self.reimported.add(alias)
                    waiting.append(alias)

    def _paths_with(self, alias: str, value: ast.expr) -> set[str]:
        paths = self.paths.get(alias, set()) | self._paths_of(value)
        return {MANY} if len(paths) > MAX_PATHS or any(path.startswith(MANY) for path in paths) else paths

    def check(self, node: ast.AST) -> Iterator[Violation]:
        """Yield what is amiss with one node of the tree."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _check_import(node)
        elif isinstance(node, ast.Attribute):
            yield from self._check_attribute(node)
            yield from self._check_whole(node)
        elif isinstance(node, ast.Name):
            yield from self._check_name(node)
            yield from self._check_whole(node)
        elif isinstance(node, ast.Call):
            yield from self._check_call(node)
        elif isinstance(node, ast.MatchClass) and any(map(_is_hidden, node.kwd_attrs)):
            yield _violation(node, ast.unparse(node), "match no hidden attributes")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_hidden_text(node.value):
            yield _violation(node, f"the text {node.value!r}", "write no hidden name as text")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PROCESSES in node.value:
            yield _violation(node, f"the text {node.value!r:.60}", "look at no process", LOOKS)

    def _check_attribute(self, node: ast.Attribute) -> Iterator[Violation]:
        is_own = isinstance(node.value, ast.Name) and node.value.id in self.selves
        if _is_hidden(node.attr) and not (node.attr == "__dict__" and is_own):
            rule = LOOKS if node.attr in FRAMES else REACHES
            yield _violation(node, f".{node.attr}", "use what Python shows without it", rule)
        if isinstance(node.ctx, ast.Store | ast.Del) and not self._may_set(node):
            yield _violation(
                node, f"{ast.unparse(node)} is set", "set attributes of self and of your own objects alone"
            )

    def _may_set(self, node: ast.Attribute) -> bool:
        paths = self._paths_of(node)
        if paths:
            return all(path.startswith(HARMLESS_SETTINGS) for path in paths)
        is_own = isinstance(node.value, ast.Name) and node.value.id in self.selves
        return is_own or node.attr in SET_ANYWHERE

    def _check_whole(self, node: ast.Attribute | ast.Name) -> Iterator[Violation]:
        if id(node) in self.inner:
            return  # a longer name that holds this one is looked at as a whole
        for path in sorted(self._paths_of(node)):
            if way_out := leads_out(path):
                looks = tells_of_callers(path)
                mend, rule = (LEAVE_OUT, LOOKS) if looks else ("use the libraries' arithmetic alone", REACHES)
                yield _violation(node, f"{ast.unparse(node)} ({way_out})", mend, rule)
            elif is_module(path) and id(node) not in self.aliases and isinstance(node.ctx, ast.Load):
                yield _violation(node, f"the module {path} by itself", "name what you use of it")

    def _paths_of(self, node: ast.AST) -> set[str]:
        root, _, rest = dotted_name(node).partition(".")
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        if id(first) in self.local and root not in self.reimported:
            return set()  # a variable that is called as a module is
        return {f"{path}.{rest}" if rest else path for path in self.paths.get(root, ())}

    def _check_name(self, node: ast.Name) -> Iterator[Violation]:
        if id(node) in self.own:
            return
        if node.id == "__file__":
            yield _violation(node, node.id, LEAVE_OUT, LOOKS)
        elif node.id in BUILTINS or (
            node.id.startswith("__") and node.id not in OWN_UNDERSCORES | {"__debug__"}
        ):
            yield _violation(node, node.id, "do without it")
        if node.id in BY_NAME and id(node) not in self.called:
            yield _violation(node, f"{node.id} by another name", f"call {node.id} itself")

    def _check_call(self, node: ast.Call) -> Iterator[Violation]:
        called = dotted_name(node.func)
        if called == "vars" and not self._is_self(node) and id(node.func) not in self.own:
            yield _violation(node, ast.unparse(node)[:60], "ask for self's alone")
        if called in {"getattr", "delattr"} or (called == "setattr" and not self._is_self(node)):
            yield _violation(node, ast.unparse(node)[:60], "write the name out, of self where it is set")
        if called == "type" and (len(node.args) != 1 or isinstance(node.args[0], ast.Starred)):
            yield _violation(node, "type() with three arguments", "write a class statement")

    def _is_self(self, node: ast.Call) -> bool:
        return bool(node.args) and isinstance(node.args[0], ast.Name) and node.args[0].id in self.selves


def _check_import(node: ast.Import | ast.ImportFrom) -> Iterator[Violation]:
    written = f"`{ast.unparse(node)}`"
    if isinstance(node, ast.Import):
        paths = [alias.name for alias in node.names]
    elif node.level or node.module is None or node.names[0].name == "*":
        yield _violation(node, written, "name a library's module, and what you use of it")
        return
    else:
        paths = [f"{node.module}.{alias.name}" for alias in node.names]
    for way_out, rule in dict.fromkeys(
        (way_out, LOOKS if tells_of_callers(path) else REACHES)
        for path in paths
        if (way_out := leads_out(path))
    ):
        mend = "leave it out, or import it where the file is a script"
        yield _violation(node, f"{written} ({way_out})", mend, rule)


def _imported_paths(tree: ast.Module) -> dict[str, set[str]]:
    """Return what each imported name stands for."""
    paths: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                paths.setdefault(alias.asname or top, set()).add(alias.name if alias.asname else top)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                paths.setdefault(alias.asname or alias.name, set()).add(f"{node.module}.{alias.name}")
    return paths


def _imports(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return []
    return [alias.asname or alias.name.partition(".")[0] for alias in node.names]


def _alias_statements(tree: ast.Module) -> list[ast.Assign]:
    """Return the statements that give a dotted name one other name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and dotted_name(node.value)
    ]


def _own_objects(tree: ast.Module) -> set[str]:
    """Return the names of the file's functions and classes, of their instances, and of a method's object."""
    kinds = {node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for method in (each for kind in kinds for each in kind.body if isinstance(each, ast.FunctionDef)):
        is_static = "staticmethod" in map(callee_name, method.decorator_list)
        names.update(each.arg for each in method.args.args[:1] if not is_static or each.arg == "ctx")
    classes = {kind.name for kind in kinds}
    made = [
        (node.targets, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    ]
    for targets, call in made:
        if dotted_name(call.func) in classes:
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)]
    return names - {dotted_name(each) for loop in loops for each in ast.walk(loop.target)}


def _is_hidden(attribute: str) -> bool:
    dunder = attribute.startswith("__") and attribute not in OWN_UNDERSCORES
    return dunder or attribute in FRAMES or attribute in ELSEWHERE


def _is_hidden_text(text: str) -> bool:
    return text.startswith("__") and text not in OWN_UNDERSCORES | {"__main__"}


def _violation(node: ast.AST, what: str, mend: str, rule: str = REACHES) -> Violation:
    return Violation(rule=rule, line=getattr(node, "lineno", 1), message=f"got {what}; {mend}")
