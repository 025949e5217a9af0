"""`kernelgate init`: begin a project of one's own."""

import argparse
import sys
from pathlib import Path
from typing import Any

from kernelgate.cli.common_options import add_root

NEXT = """\
problems/{name}.py says what is computed, kernels/{name}.py is a kernel for it. Make them yours, then:
  kernelgate judge kernels/{name}.py             is it right? With a GPU: how fast beside PyTorch?
  kernelgate accept gate-report/*.proposed.json --reason "First kernel"    its records, in baselines/{name}
  git init && git add . && git commit -m "First kernels"    from now on it is the kernel to beat
  kernelgate judge kernels/{name}_idea.py        another one, against it and its records
  pytest tests/gate --candidate kernels/{name}.py    the same as a test suite
The workflow, .github/workflows/kernelgate.yml, judges each pull request that changes kernels. Its line
KERNELGATE says where kernelgate is installed from: make that yours too.
"""


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "init",
        help="begin a project of one's own",
        description="Write what a project of one's own needs: a table in pyproject.toml, a problem file and "
        "a kernel that is right as it is, tests/gate for pytest, a workflow for pull requests, .actrc and "
        ".gitignore. A file that is there stays, unless you say otherwise.",
    )
    command.add_argument("name", metavar="NAME", help="of the first problem, such as rms")
    command.add_argument("--force", action="store_true", help="write over files that are there")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the files and say what to do with them. Raises NameRefusedError, SettingsError."""
    from kernelgate.scaffold.new_project import write_project

    root = options.root.resolve()

    def may_replace(file: Path) -> bool:
        if options.force:
            return True
        named = file.relative_to(root)
        if sys.stdin.isatty() and input(f"{named} is there. Write over it? [y/N] ").lower() == "y":
            return True
        print(f"kept  {named}: is there; --force writes over it")
        return False

    for file in write_project(root, options.name, may_replace):
        print(f"wrote {file.relative_to(root)}")
    print(NEXT.format(name=options.name), end="")
    return 0
