"""The order of the modules, who may import a kernel file, and how long files and functions may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kernelgate"
MAX_FILE_LINES = 310
MAX_FUNCTION_LINES = 40

ORDER = [
    "settings",
    "foreign_file",
    "operations",
    "candidate",
    "names",
    "literals",
    "renaming",
    "families",
    "inputs",
    "wire",
    "profile_order",
    "launches",
    "machine_code",
    "occupancy",
    "declared_math",
    "looks",
    "slowdown",
    "verdict",
    "records",
    "drift",
    "baselines",
    "environment",
    "accepted",
    "config_list",
    "process_tree",
    "starter",
    "contestant",
    "blame",
    "workplace",
    "gpu",
    "fitness",
    "compile_check",
    "compile_stage",
    "counters",
    "stage_rules",
    "profiles",
    "cases",
    "reference",
    "runners",
    "laws",
    "relations",
    "case_plan",
    "examiner",
    "law_book",
    "correctness",
    "correctness_stage",
    "timing_inputs",
    "measured",
    "samples",
    "flags",
    "replicate",
    "timing",
    "trust",
    "performance",
    "performance_stage",
    "tuning",
    "tune_state",
    "tune_stage",
    "judgement",
    "gate",
    "doctor",
    "markdown",
    "counter_table",
    "interval_chart",
    "report",
    "tune_report",
    "change",
    "change_judge",
    "change_answer",
    "workflow_commands",
    "artifact",
    "history",
    "progress",
    "__main__",
]
"""Each module imports from modules above it only."""

FOR_THE_CHILD = {"families", "inputs", "operations", "profile_order", "reference", "timing_inputs", "wire"}
"""What both sides of the pipe know: shapes, values and messages; nothing that decides."""

LOADERS = {"importlib.util", "importlib.machinery", "importlib.import_module", "runpy", "imp", "__import__"}
EXECUTORS = {"exec", "eval", "compile", "__import__"}

JUDGE = sorted(PACKAGE.glob("*.py"))
CHILD = sorted((PACKAGE / "child").glob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that is imported, at the top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def own_modules(tree: ast.AST) -> set[str]:
    """Return the names of the package's modules that are imported; `child` for anything of the child."""
    names = (name.split(".") for name in imported(tree))
    return {parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "kernelgate"}


def misplaced(name: str, tree: ast.AST) -> set[str]:
    """Return what a module imports that does not stand above it."""
    return own_modules(tree) - set(ORDER[: ORDER.index(name)])


def kernel_loaders(tree: ast.AST) -> set[str]:
    """Return the means of running a file's code, or of reaching a kernel file, that a module uses."""
    names = set(imported(tree))
    means = {name for name in names for loader in LOADERS if name == loader or name.startswith(loader + ".")}
    means |= {name for name in names if name.split(".")[0] in ("kernels", "triton")}
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return means | {call.id for call in calls if isinstance(call, ast.Name) and call.id in EXECUTORS}


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every function with its number of lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_the_order_lists_every_module_once() -> None:
    """A new module is given its place."""
    assert sorted(ORDER) == sorted(file.stem for file in JUDGE if file.stem != "__init__")


@pytest.mark.parametrize("file", JUDGE, ids=name_of)
def test_a_module_imports_only_from_above(file: Path) -> None:
    """The child is nowhere above, so the judge never imports it: it is started, as a program."""
    tree = parse(file)
    if file.stem == "__init__":
        assert own_modules(tree) == set()
    else:
        assert misplaced(file.stem, tree) == set()


@pytest.mark.parametrize("file", CHILD, ids=name_of)
def test_the_child_knows_nothing_that_decides(file: Path) -> None:
    """A kernel file shares its process with the child's modules, and with what these import."""
    assert own_modules(parse(file)) <= FOR_THE_CHILD | {"child"}


@pytest.mark.parametrize("name", sorted(FOR_THE_CHILD))
def test_what_the_child_shares_brings_nothing_that_decides(name: str) -> None:
    """Not by a detour either."""
    assert own_modules(parse(PACKAGE / f"{name}.py")) <= FOR_THE_CHILD


@pytest.mark.parametrize("file", JUDGE, ids=name_of)
def test_the_judge_has_no_means_to_run_a_kernel_file(file: Path) -> None:
    """Neither loaders nor exec nor Triton itself."""
    assert kernel_loaders(parse(file)) == set()


def test_the_child_has_exactly_one_place_that_loads_a_kernel_file() -> None:
    """The check that finds nothing in the judge finds this one."""
    loading = [file.name for file in CHILD if any("importlib" in n for n in kernel_loaders(parse(file)))]
    assert loading == ["kernel_file.py"]


@pytest.mark.parametrize("file", [*JUDGE, *CHILD], ids=name_of)
def test_files_and_functions_are_short(file: Path) -> None:
    """A file holds one idea, and a function fits on a screen."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_FILE_LINES
    assert {name: lines for name, lines in functions(parse(file)) if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "from kernelgate.report import Report",
        "import kernelgate.gate",
        "from kernelgate.laws import Broken",
        "from kernelgate import laws",
        "from kernelgate.child.program import serve",
        "import kernelgate.child",
        "def late():\n    from kernelgate.gate import Gate",
    ],
)
def test_an_import_from_below_is_seen(planted: str) -> None:
    """In every way of writing it."""
    assert misplaced("laws", ast.parse(planted))


@pytest.mark.parametrize(
    "planted",
    [
        "import importlib.util",
        "from importlib import util",
        "from importlib.util import spec_from_file_location",
        "from importlib import import_module",
        "import runpy",
        "from kernels.alexnet_conv1 import ModelNew",
        "import triton",
        "exec(source)",
        "model = __import__(name)",
    ],
)
def test_a_means_to_run_a_kernel_file_is_seen(planted: str) -> None:
    """In every way of writing it."""
    assert kernel_loaders(ast.parse(planted))


def test_a_long_function_is_seen() -> None:
    """The count is of the lines from its name to its end."""
    body = "\n".join("    pass" for _ in range(MAX_FUNCTION_LINES))
    assert dict(functions(ast.parse(f"def long():\n{body}"))) == {"long": MAX_FUNCTION_LINES + 1}
