"""`kernelgate guard`: judge every accepted kernel anew, under rule guard."""

import argparse
from typing import Any

from kernelgate.cli.changes.setup import add_setup, make_setup


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "guard",
        help="judge every accepted kernel anew, under rule guard",
        description="Judge every accepted kernel of this checkout under rule guard, as a change of PyTorch, "
        "Triton, the settings, the records or the gate itself asks for.",
    )
    add_setup(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge the accepted kernels; returns 1 if one does not pass. Raises RoomError."""
    from kernelgate.pull_request.judge import judge_accepted
    from kernelgate.pull_request.publish import publish

    return publish(options.reports, None, judge_accepted(make_setup(options)))
