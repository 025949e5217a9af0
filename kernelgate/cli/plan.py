"""`kernelgate plan`: write the launch plan of a kernel file, and say what it does."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_project, project_of
from kernelgate.judging.options import add_computed, read_computed
from kernelgate.operations import find_operation
from kernelgate.settings import PROJECT_FILE

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
    command.add_argument("candidate", metavar="FILE", help="kernel file")
    command.add_argument("--batch", type=int, metavar="N", help="default: the measured batch")
    command.add_argument(
        "--target", default="sm_89", metavar="GPU", help="sm_89, sm_90 or here; default: %(default)s"
    )
    add_computed(command.add_argument)
    command.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help="folder of the plans; default: %(default)s"
    )
    add_project(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print what each configuration's plan does; returns 1 if the file has none. Raises KernelgateError."""
    from kernelgate.compilation.plan_command import PlanOrder, make_plans
    from kernelgate.settings import load_settings

    project = project_of(options)
    settings = load_settings(project / PROJECT_FILE if project else None)
    order = PlanOrder(
        file=Path(options.candidate),
        operation=_find_operation(options, project, settings),
        batch=options.batch,
        target=options.target,
        folder=options.out,
    )
    texts = list(make_plans(order, settings.limits))
    for text in texts:
        print(text)
    return 0 if texts else 1


def _find_operation(options: argparse.Namespace, project: Path | None, settings: "Settings") -> "Operation":
    """Return the operation that is named, by an option or the file, or a problem's. Raises ProblemError."""
    from kernelgate.operations.problem.order import ExaminationOrder, read_problem

    name, problem = read_computed(vars(options).get, project, settings)
    if problem is None:
        return find_operation(name)
    return find_operation(read_problem(ExaminationOrder.within(settings.limits, problem, options.math)))
