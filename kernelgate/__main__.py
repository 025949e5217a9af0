"""The command line for what is not a test: a doctor for the machine, records and raw samples."""

import argparse
import sys
from pathlib import Path

from kernelgate.accepted import AcceptedError, kernel_path
from kernelgate.baselines import BaselineError, accept, read_proposal
from kernelgate.candidate import UnreadableKernel, read_kernel
from kernelgate.doctor import answer, examine, render
from kernelgate.operations import find_operation
from kernelgate.performance_stage import replay
from kernelgate.samples import SamplesError
from kernelgate.settings import SettingsError, load_settings


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
    for command in (accepting, looking):
        command.add_argument(
            "--root", type=Path, default=Path.cwd(), help="project's folder; default: this one"
        )
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except (AcceptedError, BaselineError, SamplesError, SettingsError, UnreadableKernel, OSError) as error:
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


if __name__ == "__main__":
    sys.exit(main())
