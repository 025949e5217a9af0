"""`kernelgate tune`: find the best configurations that final micro-tuning allows."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_root
from kernelgate.files import write_whole
from kernelgate.operations import OPERATIONS, name_of
from kernelgate.settings import PROJECT_FILE

if TYPE_CHECKING:
    from kernelgate.machine.gpu import Gpu
    from kernelgate.settings import Settings
    from kernelgate.tuning.command import Job
    from kernelgate.tuning.state import Tuned


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "tune",
        help="find the best configurations that final micro-tuning allows",
        description="Compile every configuration that the stage allows near the original one, drop what "
        "breaks its rules, spills or is the same code as another, time the rest against the accepted kernel "
        "and the original, and apply the revert rule. What is kept is written as a kernel file of 3 to 6 "
        "configurations. A run that is ended goes on where it was, from the report folder. Without a GPU the "
        "compile is the end.",
    )
    command.add_argument("file", type=Path, metavar="FILE", help="the kernel file; it is never written to")
    command.add_argument(
        "--operation", choices=OPERATIONS, help="what it computes; default: what the file's name begins with"
    )
    command.add_argument("--accepted", metavar="FILE|REV", help="the kernel to beat; default: HEAD")
    command.add_argument("--report-dir", type=Path, default=Path("tune-report"), metavar="DIR")
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="default: FILE's name in the report folder"
    )
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Tune the file; returns 1 if nothing could be decided. Raises TuneError if the output exists."""
    from kernelgate.settings import load_settings
    from kernelgate.tuning.command import Job, TuneError
    from kernelgate.tuning.page import render_lines, render_page

    output = options.output or options.report_dir / f"{options.file.stem}.tuned.py"
    if (options.output and output.exists()) or (output.exists() and output.samefile(options.file)):
        raise TuneError(f"--output {output}: is there already, and nothing is written over")
    settings = load_settings(options.root / PROJECT_FILE)
    job = Job(
        root=options.root,
        file=options.file,
        operation=options.operation or name_of(options.file.stem) or settings.operation,
        accepted=options.accepted,
        report_dir=options.report_dir,
        gpu=_gpu_at_hand(),
    )
    tuned = _tune(job, settings)
    if tuned.ended == "kept":
        write_whole(output, tuned.source)
    write_whole(options.report_dir / "tune.md", render_page(tuned, str(output)))
    print(*render_lines(tuned, str(output)), f"  report: {options.report_dir / 'tune.md'}", sep="\n")
    return int(tuned.ended == "undecided")


def _tune(job: "Job", settings: "Settings") -> "Tuned":
    from kernelgate.reporting.progress import CountedProgress
    from kernelgate.tuning.command import tune

    progress = CountedProgress(sys.stderr)
    try:
        return tune(job, settings, progress.note)
    finally:
        progress.stop()


def _gpu_at_hand() -> "Gpu | None":
    from kernelgate.machine.gpu import GpuError, find_gpu

    try:
        return find_gpu()
    except GpuError as error:
        print(f"kernelgate: {error}", file=sys.stderr)
        return None
