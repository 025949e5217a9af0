"""`kernelgate accept`: put proposed records in place as baselines of the accepted kernel."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernelgate.cli.common_options import add_root

if TYPE_CHECKING:
    from kernelgate.settings import Settings


def add(commands: Any) -> None:
    """Add the subcommand to the parser."""
    command = commands.add_parser(
        "accept",
        help="put proposed records in place as baselines of the accepted kernel",
        description="Put proposed records (baseline.proposed.json, compile.proposed.json) under baselines/. "
        "Each must be of the kernel file in kernels/ as it is now, and of the project's own problem file as "
        "it is now; if not, the old record stays.",
    )
    command.add_argument(
        "proposals",
        nargs="+",
        type=Path,
        metavar="PROPOSAL",
        help="file of a report directory, or a zip of a workflow's artifact",
    )
    command.add_argument("--reason", required=True, help="one line for the record's history")
    add_root(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Accept every proposal. Raises ArtifactError if the archives hold none."""
    from kernelgate.pull_request.artifact import ArtifactError
    from kernelgate.settings import load_settings

    settings = load_settings(options.root / "pyproject.toml")
    with tempfile.TemporaryDirectory() as folder:
        proposals = list(_unpack(options.proposals, Path(folder)))
        if not proposals:
            raise ArtifactError("the archives hold no *.proposed.json; take those of a run that wrote some")
        for given, proposal in proposals:
            path = _accept(proposal, options.root, options.reason, settings)
            print(f"{path}: accepted from {given}")


def _accept(proposal: Path, root: Path, reason: str, settings: "Settings") -> Path:
    from kernelgate.baselines.folder import RecordFolder
    from kernelgate.baselines.store import accept, read_proposal
    from kernelgate.files import digest_file
    from kernelgate.kernel_file.source import read_kernel

    files = {name: root / file for name, file in settings.problems.items()}
    problems = {name: digest_file(file) for name, file in files.items() if file.is_file()}
    records = RecordFolder(root=root, name=read_proposal(proposal, problems).operation)
    kernel = read_kernel(root / records.kernel, settings.limits.kernel_file_bytes)
    return accept(proposal, root, reason, kernel.sha256, problems)


def _unpack(given: Sequence[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each proposal with the file that it was given in."""
    from kernelgate.pull_request.artifact import unpack_proposals

    for number, file in enumerate(given):
        if file.suffix == ".zip":
            (folder / str(number)).mkdir()
            yield from ((file, proposal) for proposal in unpack_proposals(file, folder / str(number)))
        else:
            yield file, file
