"""The command line for what is not a test: changes, records, raw samples, and a doctor for the machine."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kernelgate.baselines.kernels import AcceptedError, kernel_path
from kernelgate.baselines.store import BaselineError, accept, read_proposal
from kernelgate.doctor.noise import answer, examine, render
from kernelgate.files import write_whole
from kernelgate.kernel_file.config_list import ConfigListError
from kernelgate.kernel_file.source import read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu
from kernelgate.operations.operation import OPERATIONS, find_operation
from kernelgate.performance.samples_file import SamplesError
from kernelgate.performance.stage import replay
from kernelgate.pull_request.artifact import ArtifactError, unpack_proposals
from kernelgate.pull_request.change import Change, ChangeError, head_of, read_change
from kernelgate.pull_request.github import mark_failures, write_outputs, write_summary
from kernelgate.pull_request.judge import Bench, Judged, RoomError, judge_accepted, judge_change
from kernelgate.pull_request.summary import failures_of, outputs_of, passes, render_page, summarise
from kernelgate.reporting.history import HistoryError, render_history
from kernelgate.reporting.progress import CountedProgress
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import SettingsError, load_settings
from kernelgate.tuning.command import Job, TuneError, tune
from kernelgate.tuning.page import render_lines
from kernelgate.tuning.page import render_page as render_tuning

EXPECTED = (
    AcceptedError,
    ArtifactError,
    BaselineError,
    ChangeError,
    HistoryError,
    RoomError,
    SamplesError,
    SettingsError,
    UnreadableKernel,
    TuneError,
    ConfigListError,
    WorkerFault,
    GpuError,
    OSError,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m kernelgate", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_tune, _add_accept, _add_replay, _add_doctor, _add_history, _add_judge, _add_guard):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except EXPECTED as error:
        print(f"kernelgate: {error}", file=sys.stderr)
        _mark([str(error)])
        return 1


def _add_tune(commands: Any) -> None:
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
    command.add_argument("--stage", choices=("final-micro-tuning",), default="final-micro-tuning")
    command.add_argument("--accepted", metavar="FILE|REV", help="the kernel to beat; default: HEAD")
    command.add_argument("--report-dir", type=Path, default=Path("tune-report"), metavar="DIR")
    command.add_argument(
        "--output", type=Path, metavar="FILE", help="default: FILE's name in the report folder"
    )
    _add_root(command)
    command.set_defaults(run=_tune)


def _add_accept(commands: Any) -> None:
    command = commands.add_parser(
        "accept",
        help="put proposed records in place as baselines of the accepted kernel",
        description="Put proposed records (baseline.proposed.json, compile.proposed.json) under baselines/. "
        "Each must be of the kernel file in kernels/ as it is now; if not, the old record stays.",
    )
    command.add_argument(
        "proposals",
        nargs="+",
        type=Path,
        metavar="PROPOSAL",
        help="file of a report directory, or a zip of a workflow's artifact",
    )
    command.add_argument("--reason", required=True, help="one line for the record's history")
    _add_root(command)
    command.set_defaults(run=_accept)


def _add_replay(commands: Any) -> None:
    command = commands.add_parser(
        "replay",
        help="compute a verdict again from its raw samples",
        description="Compute again what the samples of a timing come to, by the settings that stand in their "
        "file. The answers and the stored record are not asked again.",
    )
    command.add_argument("samples", type=Path, metavar="FILE", help="samples.jsonl of a report directory")
    command.set_defaults(run=_replay)


def _add_doctor(commands: Any) -> None:
    command = commands.add_parser(
        "doctor",
        help="say whether this machine is fit to judge 1 %%",
        description="Look at the GPU, its driver, clocks and neighbours, and time the accepted kernel "
        "against itself for a minute. Nothing is changed. Exit code 0: fit; 1: not fit, with what to do.",
    )
    _add_root(command)
    command.set_defaults(run=_look)


def _add_history(commands: Any) -> None:
    command = commands.add_parser(
        "history",
        help="show how the accepted kernel's speed has moved",
        description="Show, as Markdown, what was accepted on each GPU, and where the run of a report stands.",
    )
    command.add_argument("--operation", choices=sorted(OPERATIONS), help="default: that of the settings")
    command.add_argument("--report", type=Path, metavar="FILE", help="report.json of a timing")
    _add_root(command)
    command.set_defaults(run=_show_history)


def _add_judge(commands: Any) -> None:
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
    _add_bench(command)
    command.set_defaults(run=_judge)


def _add_guard(commands: Any) -> None:
    command = commands.add_parser(
        "guard",
        help="judge every accepted kernel anew, under rule guard",
        description="Judge every accepted kernel of this checkout under rule guard, as a change of PyTorch, "
        "Triton, the settings, the records or the gate itself asks for.",
    )
    _add_bench(command)
    command.set_defaults(run=_guard)


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("--reports", type=Path, required=True, metavar="DIR", help="new folder for reports")
    command.add_argument("--measure", action="store_true", help="time them too, on an NVIDIA GPU")
    command.add_argument("--profile", metavar="NAME", help="how much is drawn: ci, default or nightly")
    _add_root(command)


def _add_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=Path, default=Path.cwd(), help="project's folder; default: this one")


def _tune(options: argparse.Namespace) -> int:
    settings = load_settings(options.root / "pyproject.toml")
    output = options.output or options.report_dir / f"{options.file.stem}.tuned.py"
    if (options.output and output.exists()) or (output.exists() and output.samefile(options.file)):
        raise TuneError(f"--output {output}: is there already, and nothing is written over")
    job = Job(
        root=options.root,
        file=options.file,
        accepted=options.accepted,
        report_dir=options.report_dir,
        gpu=_gpu_at_hand(),
    )
    progress = CountedProgress(sys.stderr)
    try:
        tuned = tune(job, settings, progress.note)
    finally:
        progress.stop()
    if tuned.ended == "kept":
        write_whole(output, tuned.source)
    write_whole(options.report_dir / "tune.md", render_tuning(tuned, str(output)))
    print(*render_lines(tuned, str(output)), f"  report: {options.report_dir / 'tune.md'}", sep="\n")
    return int(tuned.ended == "undecided")


def _gpu_at_hand() -> Gpu | None:
    try:
        return find_gpu()
    except GpuError as error:
        print(f"kernelgate: {error}", file=sys.stderr)
        return None


def _accept(options: argparse.Namespace) -> None:
    max_bytes = load_settings(options.root / "pyproject.toml").limits.kernel_file_bytes
    with tempfile.TemporaryDirectory() as folder:
        proposals = list(_unpack(options.proposals, Path(folder)))
        if not proposals:
            raise ArtifactError("the archives hold no *.proposed.json; take those of a run that wrote some")
        for given, proposal in proposals:
            operation = find_operation(read_proposal(proposal).operation)
            kernel = read_kernel(kernel_path(options.root, operation), max_bytes)
            path = accept(proposal, options.root, options.reason, kernel.sha256)
            print(f"{path}: accepted from {given}")


def _unpack(given: Sequence[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each proposal with the file that it was given in."""
    for number, file in enumerate(given):
        if file.suffix == ".zip":
            (folder / str(number)).mkdir()
            yield from ((file, proposal) for proposal in unpack_proposals(file, folder / str(number)))
        else:
            yield file, file


def _replay(options: argparse.Namespace) -> None:
    verdict, (candidate, control) = replay(options.samples)
    print(f"{verdict.outcome}  ({verdict.reason})\n  {verdict.detail}")
    for name, slowdown in (("candidate to accepted", candidate), ("accepted to itself", control)):
        ends = f"[{100 * slowdown.gain_low:z.2f}, {100 * slowdown.gain_high:z.2f}]"
        print(f"  {name}: gain {100 * slowdown.gain:z.2f} % {ends}, {len(slowdown.replicates)} replicates")


def _look(options: argparse.Namespace) -> int:
    settings = load_settings(options.root / "pyproject.toml")
    checks = []
    for check in examine(options.root, settings):
        print(render(check), flush=True)
        checks.append(check)
    print(answer(checks))
    unfit = [check for check in checks if check.status == "unfit"]
    _mark([f"{check.name}: {check.seen}: {check.advice}" for check in unfit])
    return int(bool(unfit))


def _show_history(options: argparse.Namespace) -> None:
    name = options.operation or load_settings(options.root / "pyproject.toml").operation
    for part in render_history(options.root, find_operation(name), options.report):
        print(f"{part}\n")


def _judge(options: argparse.Namespace) -> int:
    head = head_of(options.repository, options.head)
    change = read_change(options.repository, head_of(options.root), head)
    judged = judge_change(_bench(options), options.repository.resolve(), change)
    return _answer(options.reports, change, judged)


def _guard(options: argparse.Namespace) -> int:
    return _answer(options.reports, None, judge_accepted(_bench(options)))


def _answer(reports: Path, change: Change | None, judged: Sequence[Judged]) -> int:
    """Say it on a page, to the workflow, and on the terminal; returns the exit code."""
    page = render_page(change, judged, reports)
    write_whole(reports / "summary.md", page)
    write_summary(os.environ, page)
    write_outputs(os.environ, outputs_of(change, judged))
    _mark(failures_of(change, judged))
    print(f"kernelgate: {summarise(change, judged)}\n  summary: {reports / 'summary.md'}")
    return int(not passes(change, judged))


def _mark(failures: Sequence[str]) -> None:
    for line in mark_failures(os.environ, failures):
        print(line)


def _bench(options: argparse.Namespace) -> Bench:
    return Bench(
        root=options.root.resolve(),
        reports=options.reports.resolve(),
        measure=options.measure,
        profile=options.profile,
    )


if __name__ == "__main__":
    sys.exit(main())
