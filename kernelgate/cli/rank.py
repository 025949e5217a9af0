"""`kernelgate rank`: find the fastest of many kernel files."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_jobs, add_project, project_of
from kernelgate.errors import KernelgateError
from kernelgate.judging.options import CANNOT_JUDGE, add_options

if TYPE_CHECKING:
    from pathlib import Path

    from kernelgate.batch.table import Table
    from kernelgate.reporting.ranking.record import Ranking

OF_ONE_FILE = frozenset({"--rule", "--code-path", "--plans", "--keep-plans", "--replay"})
"""Options of a judgement that a race has no use for: no line of a rule is drawn, and each file is run."""


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "rank",
        help="find the fastest of many kernel files",
        description="Find the fastest of many kernel files. Each is judged first, as a batch does: what is "
        "not right is not ranked. The others are timed side by side with the accepted kernel, and one that "
        "is proven slower than another leaves. rank.json and rank.html of the report folder say all of it. "
        "The same command again goes on with what was judged. It needs a GPU.",
        epilog="Exit code 0: something is ranked; 1: nothing is right, or the figures are not to be trusted; "
        "2: what is asked for cannot be ranked.",
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="kernel file, or a folder of kernel files")

    add_jobs(command)

    def add_fitting(*names: str, **settings: Any) -> None:
        if names[0] not in OF_ONE_FILE:
            command.add_argument(*names, **settings)

    add_options(add_fitting)
    command.add_argument("--profile", metavar="NAME", help="how much is drawn: ci, default or nightly")
    shown = command.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print rank.json alone")
    shown.add_argument("--quiet", action="store_true", help="print the answer alone")
    add_project(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Rank the files and show the answer; returns the exit code."""
    from kernelgate.batch.table import Table
    from kernelgate.ranking.rank import rank
    from kernelgate.sandbox.ending import ending_in_order

    table = Table(sys.stdout, with_rows=not options.json and not options.quiet)
    with ending_in_order():
        try:
            ranking, page = rank(options.files, vars(options), project_of(options), table, table.add)
        except (KernelgateError, OSError, ValueError) as error:
            print(f"kernelgate: {error}", file=sys.stderr)
            return CANNOT_JUDGE
    _show(ranking, page, options)
    return _exit_code(ranking, table)


def _show(ranking: "Ranking", page: "Path", options: argparse.Namespace) -> None:
    from kernelgate.reporting.ranking.lines import render_answer, render_ranking
    from kernelgate.reporting.ranking.record import RANKING_NAME

    if options.json:
        print((page.parent / RANKING_NAME).read_text(encoding="utf-8"), end="")
        return
    if not options.quiet:
        print(*render_ranking(ranking), f"  page: {page}", sep="\n")
    print(render_answer(ranking))


def _exit_code(ranking: "Ranking", table: "Table") -> int:
    if ranking.is_trusted:
        return 0
    return CANNOT_JUDGE if table.tally.exit_code == CANNOT_JUDGE else 1
