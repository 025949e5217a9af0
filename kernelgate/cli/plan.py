"""`kernelgate plan`: write the launch plan of a kernel file, and say what it does."""

import argparse
from pathlib import Path
from typing import Any

from kernelgate.cli.common_options import add_root
from kernelgate.operations import OPERATIONS, find_operation

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
    command.add_argument("--operation", choices=OPERATIONS, help="default: that of the settings")
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
        operation=find_operation(options.operation or settings.operation),
        batch=options.batch,
        target=options.target,
        folder=options.out,
    )
    texts = list(make_plans(order, settings.limits))
    for text in texts:
        print(text)
    return 0 if texts else 1
