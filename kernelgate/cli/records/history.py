"""`kernelgate history`: show how the accepted kernel's speed has moved."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_root
from kernelgate.errors import KernelgateError
from kernelgate.operations import OPERATIONS, find_operation

if TYPE_CHECKING:
    from kernelgate.settings import Settings


class UnknownNameError(KernelgateError, ValueError):
    """It is not said of what the history is asked for, or that is nothing the project knows."""


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "history",
        help="show how the accepted kernel's speed has moved",
        description="Show, as Markdown or as a page, what was accepted on each GPU, and where the runs of "
        "reports stand.",
    )
    command.add_argument(
        "--operation",
        metavar="NAME",
        help="operation, or problem of the project; default: its only problem, else that of the settings",
    )
    command.add_argument(
        "--report", type=Path, nargs="*", default=[], metavar="FILE", help="report.json of timings"
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts to this file")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the history, or write its page. Raises BaselineError, HistoryError, UnknownNameError."""
    from kernelgate.files import write_whole
    from kernelgate.reporting.history import read_courses, render_history
    from kernelgate.reporting.html.history import render_history_page
    from kernelgate.settings import load_settings

    file = options.root / "pyproject.toml"
    settings = load_settings(file if file.exists() or options.operation is None else None)
    name = _choose_name(options.operation, settings)
    original = None if name in settings.problems else find_operation(name).original
    courses = read_courses(options.root, name, original, options.report)
    if options.html is None:
        print("\n\n".join(render_history(courses)))
    else:
        page = render_history_page(name, courses, settings.performance.max_creep)
        print(write_whole(options.html, page))


def _choose_name(asked: str | None, settings: "Settings") -> str:
    """Return of what the history is shown; raises UnknownNameError."""
    problems = tuple(settings.problems)
    if asked is None and len(problems) < 2:
        return problems[0] if problems else settings.operation
    if asked in (known := (*problems, *OPERATIONS)):
        return str(asked)
    raise UnknownNameError(f"--operation {asked or ''}: which one? Known: {', '.join(known)}")
