"""`kernelgate judge`: judge one kernel file, or many."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kernelgate.cli.common_options import add_jobs, add_project, project_of
from kernelgate.errors import KernelgateError
from kernelgate.judging.options import CANNOT_JUDGE, AskedError, add_options

if TYPE_CHECKING:
    from kernelgate.reporting.report import Report


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "judge",
        help="judge one kernel file, or many",
        description="Judge one kernel file: is it right, and is it faster? It needs no project: outside of "
        "one say what the file computes, by --operation or --problem, and what it must beat, by --against; "
        "else that is PyTorch. Several files, or a folder of them, are judged as a batch: each has a line in "
        "results.jsonl of the report folder, and the same command again goes on where it was ended.",
        epilog="Exit code 0: every verdict passes; 1: one does not; 2: what is asked for cannot be judged.",
    )
    command.add_argument("files", metavar="FILE", nargs="*", help="kernel file, or a folder of kernel files")
    command.add_argument(
        "--follow",
        action="store_true",
        help="judge what JSON lines on standard input ask for, and answer in JSON lines: docs/search.md",
    )
    add_jobs(command)
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="judge on the hosts of a Ray cluster: `auto`, HOST:PORT, ray://HOST:PORT, or `local` for one of "
        "this host; docs/search.md",
    )
    add_options(command.add_argument)
    command.add_argument("--profile", metavar="NAME", help="how much is drawn: ci, default or nightly")
    timed = command.add_mutually_exclusive_group()
    timed.add_argument(
        "--measure", action="store_true", default=None, help="time it; default: where there is a GPU"
    )
    timed.add_argument("--no-measure", action="store_false", dest="measure", help="do not time it")
    shown = command.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print report.json, or a batch's lines, alone")
    shown.add_argument("--quiet", action="store_true", help="print the verdict, or a batch's count, alone")
    add_project(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge what is asked for and show the verdicts; returns the exit code."""
    from kernelgate.batch.candidates import is_batch
    from kernelgate.sandbox.ending import ending_in_order

    if bool(options.files) == options.follow:
        given = "not with --follow, which reads requests" if options.follow else "name a kernel file"
        return _refuse(AskedError(f"FILE: {given}"))
    with ending_in_order():
        if options.follow:
            return _follow(options)
        if is_batch(options.files) or options.cluster is not None:
            return _judge_batch(options)
        options.candidate = options.files[0]
        return _judge(options)


def _judge(options: argparse.Namespace) -> int:
    from kernelgate.judging.judge import open_gate, run_gate
    from kernelgate.judging.screen import Screen
    from kernelgate.judging.watch import Silent
    from kernelgate.reporting.terminal import render_asked

    is_told = not options.json and not options.quiet
    watch = Screen(sys.stdout) if is_told else Silent()
    try:
        gate = open_gate(vars(options).get, project_of(options), watch)
    except (KernelgateError, OSError, ValueError) as error:
        return _refuse(error)
    if is_told:
        asked = gate.request
        print(render_asked(str(asked.candidate), asked.operation, asked.stage))
    try:
        report = run_gate(gate, watch)
    except AskedError as error:
        return _refuse(error)
    _show(report, gate.request.report_dir, options)
    return int(not report.passes)


def _judge_batch(options: argparse.Namespace) -> int:
    from kernelgate.batch.candidates import list_candidates
    from kernelgate.batch.engine import Engine, open_results
    from kernelgate.batch.page import PAGE_NAME, render_batch_page
    from kernelgate.batch.run import judge_in_order, open_judges
    from kernelgate.batch.table import Table
    from kernelgate.files import write_whole

    table = Table(sys.stdout, with_rows=not options.json and not options.quiet)
    try:
        candidates = list_candidates(options.files)
        judges = open_judges(options.jobs, lambda _: table, options.cluster)
        results = open_results(vars(options).get)
    except (KernelgateError, OSError) as error:
        return _refuse(error)
    table.begin(len(candidates), judges.count)
    with results, closing(judges):
        engine = Engine(results, project_of(options), judges.gpus)
        for result in judge_in_order(engine, judges, candidates, vars(options)):
            table.add(result)
            if options.json:
                print(msgspec.json.encode(result).decode(), flush=True)
    page = results.folder / PAGE_NAME
    write_whole(page, render_batch_page(table.results, results.folder, table.seconds))
    if not options.json:
        table.end(results.path, page)
    return table.tally.exit_code


def _follow(options: argparse.Namespace) -> int:
    from kernelgate.batch.follow import follow

    try:
        follow(sys.stdin.buffer, sys.stdout, vars(options), project_of(options))
    except (KernelgateError, OSError) as error:
        return _refuse(error)
    return 0


def _refuse(error: Exception) -> int:
    print(f"kernelgate: {error}", file=sys.stderr)
    return CANNOT_JUDGE


def _show(report: "Report", folder: Path, options: argparse.Namespace) -> None:
    from kernelgate.judging.screen import show_verdict
    from kernelgate.reporting.report_files import REPORT_NAME

    if options.json:
        print((folder / REPORT_NAME).read_text(encoding="utf-8"), end="")
    else:
        show_verdict(report, str(folder / "report.html"), sys.stdout, with_remarks=not options.quiet)
