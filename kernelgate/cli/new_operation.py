"""`kernelgate new-operation`: write the files of a new operation, with blanks to fill in."""

import argparse
from typing import Any

from kernelgate.cli.common_options import add_root

NEXT = """\
It multiplies rows by a weight, and is right as it is. Make it yours:
  1. the declaration, then the test:   .venv/bin/python -m pytest {test}
  2. the original, a plain kernel that is right. Its digest goes into the declaration:
                                       sha256sum {original}
  3. the same file as the first accepted kernel, judged:
                                       cp {original} {accepted} && make gate OPERATION={name}
docs/operations.md explains each field.
"""


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "new-operation",
        help="write the files of a new operation, with blanks to fill in",
        description="Write the declaration of a new operation, its original kernel and the same file as its "
        "accepted one, and a first test. They are a small example that the gate judges at once.",
    )
    command.add_argument("name", metavar="NAME", help="such as rmsnorm; kernels/NAME.py will be its kernel")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the files and say what to do with them. Raises NameTakenError."""
    from kernelgate.scaffold.new_operation import write_operation

    root = options.root.resolve()
    files = [file.relative_to(root) for file in write_operation(root, options.name)]
    for file in files:
        print(f"wrote {file}")
    _, original, accepted, test = files
    print(NEXT.format(name=options.name, original=original, accepted=accepted, test=test), end="")
    return 0
