"""`kernelgate judge`: judge the kernels that a change proposes."""

import argparse
from pathlib import Path
from typing import Any

from kernelgate.cli.common_options import add_setup


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "judge",
        help="judge the kernels that a change proposes",
        description="Judge each kernel that a commit proposes. Gate, records, settings and accepted kernels "
        "are those of this checkout's HEAD; of the other commit only the proposed kernels are read. On a "
        "runner of GitHub its summary, outputs and error marks are written too.",
    )
    command.add_argument(
        "--repository", type=Path, required=True, metavar="DIR", help="repository that holds the commit"
    )
    command.add_argument("--head", default="HEAD", metavar="REV", help="the commit; default: %(default)s")
    add_setup(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge the change; returns 1 if it does not pass. Raises ChangeError, RoomError."""
    from kernelgate.cli.verdict_page import make_setup, publish
    from kernelgate.pull_request.change import head_of, read_change
    from kernelgate.pull_request.judge import judge_change

    head = head_of(options.repository, options.head)
    change = read_change(options.repository, head_of(options.root), head)
    judged = judge_change(make_setup(options), options.repository.resolve(), change)
    return publish(options.reports, change, judged)
