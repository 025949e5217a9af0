"""The command line for what is not a test: changes, records, raw samples, and a doctor for the machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kernelgate.accepted import AcceptedError, kernel_path
from kernelgate.baselines import BaselineError, accept, read_proposal
from kernelgate.candidate import UnreadableKernel, read_kernel
from kernelgate.change import Change, ChangeError, head_of, read_change
from kernelgate.change_answer import failures_of, outputs_of, passes, render_page, summarise, tell_workflow
from kernelgate.change_judge import Bench, Judged, RoomError, judge_accepted, judge_change
from kernelgate.doctor import answer, examine, render
from kernelgate.operations import find_operation
from kernelgate.performance_stage import replay
from kernelgate.samples import SamplesError
from kernelgate.settings import SettingsError, load_settings

EXPECTED = (
    AcceptedError,
    BaselineError,
    ChangeError,
    RoomError,
    SamplesError,
    SettingsError,
    UnreadableKernel,
    OSError,
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m kernelgate", description=__doc__)
    commands = parser.add_subparsers(required=True)
    accepting = commands.add_parser(
        "accept",
        help="put proposed records in place as baselines of the accepted kernel",
        description="Put proposed records (baseline.proposed.json, compile.proposed.json) under baselines/. "
        "Each must be of the kernel file in kernels/ as it is now; if not, the old record stays.",
    )
    accepting.add_argument(
        "proposals", nargs="+", type=Path, metavar="PROPOSAL", help="file of a report directory"
    )
    accepting.add_argument("--reason", required=True, help="one line for the record's history")
    accepting.set_defaults(run=_accept)
    replaying = commands.add_parser(
        "replay",
        help="compute a verdict again from its raw samples",
        description="Compute again what the samples of a timing come to, by the settings that stand in their "
        "file. The answers and the stored record are not asked again.",
    )
    replaying.add_argument("samples", type=Path, metavar="FILE", help="samples.jsonl of a report directory")
    replaying.set_defaults(run=_replay)
    looking = commands.add_parser(
        "doctor",
        help="say whether this machine is fit to judge 1 %%",
        description="Look at the GPU, its driver, clocks and neighbours, and time the accepted kernel "
        "against itself for a minute. Nothing is changed. Exit code 0: fit; 1: not fit, with what to do.",
    )
    looking.set_defaults(run=_look)
    judging = commands.add_parser(
        "judge",
        help="judge the kernels that a change proposes",
        description="Judge each kernel that the head of another checkout proposes. Gate, records, settings "
        "and accepted kernels are those of this checkout's HEAD; of the other one only the proposed kernels "
        "are read. On a runner of GitHub its summary, outputs and error marks are written too.",
    )
    judging.add_argument(
        "--repository", type=Path, required=True, metavar="DIR", help="checkout of the change"
    )
    judging.set_defaults(run=_judge)
    guarding = commands.add_parser(
        "guard",
        help="judge every accepted kernel anew, under rule guard",
        description="Judge every accepted kernel of this checkout under rule guard, as a change of PyTorch, "
        "Triton, the settings, the records or the gate itself asks for.",
    )
    guarding.set_defaults(run=_guard)
    for command in (judging, guarding):
        command.add_argument(
            "--reports", type=Path, required=True, metavar="DIR", help="new folder for reports"
        )
        command.add_argument("--measure", action="store_true", help="time them too, on an NVIDIA GPU")
    for command in (accepting, looking, judging, guarding):
        command.add_argument(
            "--root", type=Path, default=Path.cwd(), help="project's folder; default: this one"
        )
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except EXPECTED as error:
        print(f"kernelgate: {error}", file=sys.stderr)
        return 1


def _look(options: argparse.Namespace) -> int:
    settings = load_settings(options.root / "pyproject.toml")
    checks = []
    for check in examine(options.root, settings):
        print(render(check), flush=True)
        checks.append(check)
    print(answer(checks))
    return int(any(check.status == "unfit" for check in checks))


def _accept(options: argparse.Namespace) -> None:
    max_bytes = load_settings(options.root / "pyproject.toml").limits.kernel_file_bytes
    for proposal in options.proposals:
        operation = find_operation(read_proposal(proposal).operation)
        kernel = read_kernel(kernel_path(options.root, operation), max_bytes)
        path = accept(proposal, options.root, options.reason, kernel.sha256)
        print(f"{path}: accepted from {proposal}")


def _replay(options: argparse.Namespace) -> None:
    verdict, (candidate, control) = replay(options.samples)
    print(f"{verdict.outcome}  ({verdict.reason})\n  {verdict.detail}")
    for name, slowdown in (("candidate to accepted", candidate), ("accepted to itself", control)):
        ends = f"[{100 * slowdown.gain_low:z.2f}, {100 * slowdown.gain_high:z.2f}]"
        print(f"  {name}: gain {100 * slowdown.gain:z.2f} % {ends}, {len(slowdown.replicates)} replicates")


def _judge(options: argparse.Namespace) -> int:
    change = read_change(options.repository, head_of(options.root), head_of(options.repository))
    judged = judge_change(_bench(options), options.repository.resolve(), change)
    return _answer(options.reports, change, judged)


def _guard(options: argparse.Namespace) -> int:
    return _answer(options.reports, None, judge_accepted(_bench(options)))


def _answer(reports: Path, change: Change | None, judged: Sequence[Judged]) -> int:
    """Say it on a page, to the workflow, and on the terminal; returns the exit code."""
    page = render_page(change, judged, reports)
    (reports / "summary.md").write_text(page, encoding="utf-8")
    for line in tell_workflow(os.environ, page, outputs_of(change, judged), failures_of(change, judged)):
        print(line)
    print(f"kernelgate: {summarise(change, judged)}\n  summary: {reports / 'summary.md'}")
    return int(not passes(change, judged))


def _bench(options: argparse.Namespace) -> Bench:
    return Bench(root=options.root.resolve(), reports=options.reports.resolve(), measure=options.measure)


if __name__ == "__main__":
    sys.exit(main())
