"""`kernelgate plan`: write the launch plan of a kernel file, and say what it does."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_root
from kernelgate.operations import OPERATIONS, find_operation

if TYPE_CHECKING:
    from kernelgate.operations.declaration.operation import Operation
    from kernelgate.settings import Settings

FOLDER = Path("gate-report") / "plans"


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "plan",
        help="write the launch plan of a kernel file, and say what it does",
        description="Record what one call of a kernel file does on a GPU; none is needed. A plan holds "
        "buffers, moves of data and launches of compiled programs; each configuration has its own. What is "
        "printed holds the work that is done against the work that is needed.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="kernel file")
    command.add_argument("--batch", type=int, metavar="N", help="default: the measured batch")
    command.add_argument(
        "--target", default="sm_89", metavar="GPU", help="sm_89, sm_90 or here; default: %(default)s"
    )
    asked = command.add_mutually_exclusive_group()
    asked.add_argument("--operation", choices=OPERATIONS, help="default: that of the settings")
    asked.add_argument(
        "--problem",
        type=Path,
        metavar="FILE",
        help="what it computes, as a file in KernelBench's form; it is trusted, and imported",
    )
    command.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help="folder of the plans; default: %(default)s"
    )
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what each configuration's plan does; returns 1 if the file has none. Raises KernelgateError."""
    from kernelgate.compilation.plan_command import PlanOrder, make_plans
    from kernelgate.settings import load_settings

    settings = load_settings(options.root / "pyproject.toml")
    order = PlanOrder(
        file=options.file,
        operation=_find_operation(options, settings),
        batch=options.batch,
        target=options.target,
        folder=options.out,
    )
    texts = list(make_plans(order, settings.limits))
    for text in texts:
        print(text)
    return 0 if texts else 1


def _find_operation(options: argparse.Namespace, settings: "Settings") -> "Operation":
    """Return the operation that was named, or that of a problem file. Raises ProblemError."""
    from kernelgate.operations.problem.order import ExaminationOrder, read_problem

    if options.problem is None:
        return find_operation(options.operation or settings.operation)
    limits = settings.limits
    order = ExaminationOrder(
        file=str(options.problem),
        memory_bytes=limits.problem_memory_bytes,
        seconds=limits.problem_timeout_s,
    )
    return find_operation(read_problem(order))
