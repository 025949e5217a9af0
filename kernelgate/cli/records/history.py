"""`kernelgate history`: show how the accepted kernel's speed has moved."""

import argparse
from pathlib import Path
from typing import Any

from kernelgate.cli.common_options import add_root
from kernelgate.operations import OPERATIONS, find_operation


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "history",
        help="show how the accepted kernel's speed has moved",
        description="Show, as Markdown or as a page, what was accepted on each GPU, and where the runs of "
        "reports stand.",
    )
    command.add_argument("--operation", choices=OPERATIONS, help="default: that of the settings")
    command.add_argument(
        "--report", type=Path, nargs="*", default=[], metavar="FILE", help="report.json of timings"
    )
    command.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts to this file")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the history, or write its page. Raises BaselineError, HistoryError."""
    from kernelgate.files import write_whole
    from kernelgate.reporting.history import read_courses, render_history
    from kernelgate.reporting.html.history import render_history_page
    from kernelgate.settings import load_settings

    pyproject = options.root / "pyproject.toml"
    name = options.operation or load_settings(pyproject).operation
    courses = read_courses(options.root, find_operation(name), options.report)
    if options.html is None:
        print("\n\n".join(render_history(courses)))
    else:
        max_creep = load_settings(pyproject).performance.max_creep
        print(write_whole(options.html, render_history_page(name, courses, max_creep)))
