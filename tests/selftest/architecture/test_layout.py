"""Which package imports which, who may run a kernel file's code, and how large files and packages may be."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "kernelgate"
MAX_FILE_LINES = 310
MAX_FUNCTION_LINES = 40
MAX_MODULES = 12
"""Of one package: a reader takes them in at a glance."""

LOADERS = {"importlib.util", "importlib.machinery", "importlib.import_module", "runpy", "imp", "__import__"}
PROBLEM_LOADER = PACKAGE / "operations/problem/module.py"

EXECUTORS = {"exec", "eval", "compile", "__import__"}

PROBLEM_LOADER = PACKAGE / "operations" / "problem" / "module.py"
WORKER = sorted((PACKAGE / "worker").rglob("*.py"))
JUDGE = sorted(set(PACKAGE.rglob("*.py")) - set(WORKER))
PACKAGES = sorted({file.parent for file in [*JUDGE, *WORKER]})


def name_of(file: Path) -> str:
    return str(file.relative_to(PACKAGE.parent))


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


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package of a folder, by the contracts of its pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    return subprocess.run([*command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_imports_keep_the_contracts() -> None:
    """Downwards only; workers know nothing that decides, those of plans no file, the judge no worker."""
    checked = check_imports(ROOT)
    assert checked.returncode == 0, checked.stdout
    assert "4 kept, 0 broken" in checked.stdout


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("operations/values", "from kernelgate.sandbox.sandbox import Sandbox"),
        ("verdict", "def late():\n    import kernelgate.pipeline"),
        ("correctness/case", "from kernelgate.performance import samples"),
        ("worker/loop", "from kernelgate.operations.accuracy import laws as accuracy"),
        ("worker/loop", "from kernelgate import verdict"),
        ("worker/loop", "from kernelgate import settings"),
        ("worker/interpret/mode", "from kernelgate.worker.model import kernel_model"),
        ("errors", "from kernelgate.settings import Settings"),
        ("reporting/report", "def late():\n    from kernelgate.cli import main"),
        ("cli/tune", "def late():\n    from kernelgate import pytest_plugin"),
        ("pipeline/pipeline", "from kernelgate.worker.loop import serve"),
        ("unplaced", "import math"),
    ],
    ids=str,
)
def test_an_import_that_breaks_a_contract_is_seen(tmp_path: Path, module: str, planted: str) -> None:
    """In every way of writing it; a module that has no place in the order is seen too."""
    shutil.copytree(PACKAGE, tmp_path / "kernelgate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / f"kernelgate/{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{planted}\n")
    assert check_imports(tmp_path).returncode != 0


@pytest.mark.parametrize("file", [file for file in JUDGE if file != PROBLEM_LOADER], ids=name_of)
def test_the_judge_has_no_means_to_run_a_kernel_file(file: Path) -> None:
    """Neither loaders nor exec nor Triton itself; a problem file is trusted, and one place imports it."""
    allowed = {"importlib.util"} if file == PROBLEM_LOADER else set()
    assert kernel_loaders(parse(file)) == allowed


def test_one_place_loads_a_problem_file_and_nothing_else() -> None:
    """It is trusted, and whoever runs a candidate is not told where it lies."""
    means = {"importlib.util", "importlib.machinery.SourceFileLoader"}
    assert kernel_loaders(parse(PROBLEM_LOADER)) == means
    importers = [
        file
        for file in [*JUDGE, *WORKER]
        if any(name.startswith("kernelgate.operations.problem.module") for name in imported(parse(file)))
    ]
    assert sorted(file.name for file in importers) == ["examine.py", "reference.py"]


def test_the_worker_has_exactly_one_place_that_loads_a_kernel_file() -> None:
    """The check that finds nothing in the judge finds this one."""
    loading = [file.name for file in WORKER if any("importlib" in n for n in kernel_loaders(parse(file)))]
    assert loading == ["kernel_module.py"]


@pytest.mark.parametrize("file", [*JUDGE, *WORKER], ids=name_of)
def test_files_and_functions_are_short(file: Path) -> None:
    """A file holds one idea, and a function fits on a screen."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MAX_FILE_LINES
    assert {name: lines for name, lines in functions(parse(file)) if lines > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("folder", PACKAGES, ids=name_of)
def test_a_package_is_small(folder: Path) -> None:
    """And its first line says what it holds."""
    modules = [file.name for file in folder.glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES
    assert ast.get_docstring(parse(folder / "__init__.py"))


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
