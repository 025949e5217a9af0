"""An option that several subcommands have."""

import argparse
from pathlib import Path


def add_root(command: argparse.ArgumentParser) -> None:
    """Let the user name the project's folder: it holds pyproject.toml, kernels/ and baselines/."""
    command.add_argument("--root", type=Path, default=Path.cwd(), help="project's folder; default: this one")
