"""`kernelgate doctor`: say whether this machine is fit to judge 1 %."""

import argparse
import os
from typing import Any

from kernelgate.cli.common_options import add_root
from kernelgate.pull_request.github import mark_failures


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "doctor",
        help="say whether this machine is fit to judge 1 %%",
        description="Look at the GPU, its driver, clocks and neighbours, and time the accepted kernel "
        "against itself for a minute. Nothing is changed. Exit code 0: fit; 1: not fit, with what to do.",
    )
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print each check as it ends, then the answer; returns 1 if the machine is unfit."""
    from kernelgate.doctor.noise import answer, examine, render
    from kernelgate.settings import load_settings

    settings = load_settings(options.root / "pyproject.toml")
    checks = []
    for check in examine(options.root, settings):
        print(render(check), flush=True)
        checks.append(check)
    print(answer(checks))
    unfit = [check for check in checks if check.status == "unfit"]
    mark_failures(os.environ, [f"{check.name}: {check.seen}: {check.advice}" for check in unfit])
    return int(bool(unfit))
