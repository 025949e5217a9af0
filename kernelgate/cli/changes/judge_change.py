"""`kernelgate judge-change`: judge the kernels that a change proposes."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kernelgate.cli.changes.setup import add_setup, make_setup


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "judge-change",
        help="judge the kernels that a change proposes",
        description="Judge each kernel that a commit proposes. Gate, records, settings and accepted kernels "
        "are those of this checkout's HEAD; of the other commit only the proposed kernels are read. On a "
        "runner of GitHub its summary, outputs and error marks are written too.",
    )
    command.add_argument(
        "--repository", type=Path, required=True, metavar="DIR", help="repository that holds the commit"
    )
    command.add_argument("--head", default="HEAD", metavar="REV", help="the commit; default: %(default)s")
    books = command.add_mutually_exclusive_group()
    books.add_argument(
        "--plans",
        type=Path,
        metavar="ZIP|DIR",
        help="judge by the plan books in here, made by --keep-plans elsewhere: no kernel file is run",
    )
    books.add_argument(
        "--keep-plans",
        type=Path,
        metavar="DIR",
        help="write a plan book of each kernel that passes, for an RTX 4090 and every GPU with a record",
    )
    add_setup(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Judge the change; returns 1 if it does not pass. Raises ChangeError, RoomError, ArtifactError."""
    from kernelgate.judging.options import known_names
    from kernelgate.pull_request.change import head_of, read_change
    from kernelgate.pull_request.github import write_outputs
    from kernelgate.pull_request.judge import judge_change
    from kernelgate.pull_request.publish import publish
    from kernelgate.settings import load_settings

    head = head_of(options.repository, options.head)
    names = known_names(options.root, load_settings(options.root / "pyproject.toml"))
    change = read_change(options.repository, head_of(options.root), head, names)
    if options.keep_plans is not None:
        options.keep_plans.mkdir(parents=True)  # a workflow keeps it, also where there is no kernel to judge
    with _unpacked(options.plans) as plans:
        setup = make_setup(options, plans, options.keep_plans)
        judged = judge_change(setup, options.repository.resolve(), change)
    if options.keep_plans is not None:
        kept = any(options.keep_plans.iterdir())
        write_outputs(os.environ, {"plans": "true" if kept else "false"})
    return publish(options.reports, change, judged)


@contextmanager
def _unpacked(plans: Path | None) -> Iterator[Path | None]:
    """Give the folder of the plan books, which may come packed."""
    from kernelgate.pull_request.artifact import unpack_books

    if plans is None or not plans.is_file():
        yield plans
        return
    with tempfile.TemporaryDirectory(prefix="kernelgate-plans-") as folder:
        unpack_books(plans, Path(folder))
        yield Path(folder)
