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
        description="Show, as Markdown, what was accepted on each GPU, and where the run of a report stands.",
    )
    command.add_argument("--operation", choices=OPERATIONS, help="default: that of the settings")
    command.add_argument("--report", type=Path, metavar="FILE", help="report.json of a timing")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the history. Raises HistoryError."""
    from kernelgate.reporting.history import render_history
    from kernelgate.settings import load_settings

    name = options.operation or load_settings(options.root / "pyproject.toml").operation
    for part in render_history(options.root, find_operation(name), options.report):
        print(f"{part}\n")
