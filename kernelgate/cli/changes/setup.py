"""The options that say where kernels are judged, and how much."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from kernelgate.cli.common_options import add_root

if TYPE_CHECKING:  # a help text does not need it
    from kernelgate.pull_request.judge import JudgeSetup


def add_setup(command: argparse.ArgumentParser) -> None:
    """Let the user say where kernels are judged, and how much."""
    command.add_argument("--reports", type=Path, required=True, metavar="DIR", help="new folder for reports")
    command.add_argument("--measure", action="store_true", help="time them too, on an NVIDIA GPU")
    command.add_argument("--profile", metavar="NAME", help="how much is drawn: ci, default or nightly")
    add_root(command)


def make_setup(
    options: argparse.Namespace, plans: Path | None = None, keep_plans: Path | None = None
) -> "JudgeSetup":
    """Return where kernels are judged, by the options of `add_setup`, and where their plan books are."""
    from kernelgate.pull_request.judge import JudgeSetup
    from kernelgate.settings import load_settings

    return JudgeSetup(
        root=options.root.resolve(),
        problems=tuple(load_settings(options.root / "pyproject.toml").problems),
        reports=options.reports.resolve(),
        measure=options.measure,
        profile=options.profile,
        plans=plans.resolve() if plans else None,
        keep_plans=keep_plans.resolve() if keep_plans else None,
    )
