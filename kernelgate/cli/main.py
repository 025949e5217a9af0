"""Is a Triton kernel still right and really faster? Judges kernel files and changes; keeps records."""

import argparse
import os
import sys

from kernelgate import __version__
from kernelgate.cli import accept, doctor, init, judge, new_operation, plan, rank, tune
from kernelgate.cli.changes import guard, judge_change
from kernelgate.cli.records import history, replay, report
from kernelgate.errors import KernelgateError
from kernelgate.pull_request.github import mark_failures

SUBCOMMANDS = (
    *(judge, rank, init, plan, tune, accept, replay, report, history, doctor),
    *(judge_change, guard, new_operation),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns its exit code, or 1 with the cause on standard error."""
    options = _make_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (KernelgateError, OSError) as error:
        print(f"kernelgate: {error}", file=sys.stderr)
        mark_failures(os.environ, [str(error)])
        return 1


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kernelgate", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add(commands)
    return parser
