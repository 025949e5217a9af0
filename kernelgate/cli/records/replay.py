"""`kernelgate replay`: compute a verdict again from its raw samples."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "replay",
        help="compute a verdict again from its raw samples",
        description="Compute again what the samples of a timing come to, by the settings that stand in their "
        "file. The answers and the stored record are not asked again.",
    )
    command.add_argument("samples", type=Path, metavar="FILE", help="samples.jsonl of a report directory")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the verdict and both intervals. Raises SamplesError."""
    from kernelgate.performance.stage import replay

    verdict, (candidate, control) = replay(options.samples)
    print(f"{verdict.outcome}  ({verdict.reason})\n  {verdict.detail}")
    for name, slowdown in (("candidate to accepted", candidate), ("accepted to itself", control)):
        ends = f"[{100 * slowdown.gain_low:z.2f}, {100 * slowdown.gain_high:z.2f}]"
        print(f"  {name}: gain {100 * slowdown.gain:z.2f} % {ends}, {len(slowdown.replicates)} replicates")
