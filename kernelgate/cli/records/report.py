"""`kernelgate report`: make a judgement's pages again from its report.json, or drawings of it."""

import argparse
from pathlib import Path
from typing import Any

UNSHOWN = (ArithmeticError, KeyError, ValueError)
"""What figures that anybody may have written can come to on the way to a page."""


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "report",
        help="make report.html and report.md again",
        description="Make report.html and report.md again from the report.json beside them.",
    )
    command.add_argument("folder", type=Path, metavar="DIR", help="report directory, which holds report.json")
    command.add_argument(
        "--pictures",
        action="store_true",
        help="also draw interval.svg of a timing, output.svg of a wrong answer",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the pages and print where they are. Raises ReportError."""
    from kernelgate.reporting.report_files import (
        REPORT_NAME,
        ReportError,
        read_report,
        write_pages,
        write_pictures,
    )

    if not options.folder.is_dir():
        raise ReportError(f"{options.folder}: is no folder; allowed: a report directory, such as gate-report")
    file = options.folder / REPORT_NAME
    report = read_report(file)
    try:
        pages = write_pages(report, options.folder)
        pages += write_pictures(report, options.folder) if options.pictures else []
    except UNSHOWN as error:
        raise ReportError(f"{file}: cannot be shown: {error!r:.200}") from error
    print(*pages, sep="\n")
