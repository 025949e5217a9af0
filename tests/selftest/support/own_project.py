"""A project of one's own, `rms`, with what its records are of."""

from pathlib import Path

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.records import ProblemVersion
from kernelgate.files import digest_file
from kernelgate.scaffold.new_project import write_project
from tests.selftest.support.made_up_repository import commit, make_repository

PROBLEM = "problems/rms.py"
KERNEL = "kernels/rms.py"


def begin_project(folder: Path) -> Path:
    """Return the folder, a repository whose one commit holds the beginning of a project."""
    folder.mkdir()
    write_project(folder, "rms", lambda _: True)
    make_repository(folder)
    commit(folder, {})
    return folder


def edit_problem(project: Path) -> None:
    """Give the problem file other contents, and commit them."""
    text = (project / PROBLEM).read_text(encoding="utf-8")
    commit(project, {PROBLEM: text.replace("4096, 1024", "2048, 1024").encode()})


def records_of(project: Path) -> RecordFolder:
    """Return where records lie, and what they must be of: the problem file as it is now."""
    version = ProblemVersion(sha256=digest_file(project / PROBLEM), math="float32")
    return RecordFolder(root=project, name="rms", problem=version)
