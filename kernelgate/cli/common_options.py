"""Options that several subcommands have."""

import argparse
from pathlib import Path

from kernelgate.settings import find_project


def add_root(command: argparse.ArgumentParser) -> None:
    """Let the user name the project's folder: it holds pyproject.toml, kernels/ and baselines/."""
    command.add_argument("--root", type=Path, default=Path.cwd(), help="project's folder; default: this one")


def add_project(command: argparse.ArgumentParser) -> None:
    """Let the user name a project, for a command that also runs where there is none."""
    command.add_argument(
        "--project",
        type=Path,
        metavar="DIR",
        help="folder of a project, with [tool.kernelgate] in its pyproject.toml; default: this one or above",
    )


def add_jobs(command: argparse.ArgumentParser) -> None:
    """Let the user say how many candidates are judged at a time."""
    command.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="candidates that are judged at a time; default: what GPUs and cores have room for",
    )


def project_of(options: argparse.Namespace) -> Path | None:
    """Return the project that was named, else the one that the working directory lies in, None in none."""
    named: Path | None = options.project
    return named or find_project(Path.cwd())
