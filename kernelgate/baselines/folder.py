"""Where the records of one operation lie, or of a project's own problem, and what they must be of."""

from pathlib import Path

import msgspec

from kernelgate.baselines.kernels import kernel_path
from kernelgate.baselines.records import ProblemVersion
from kernelgate.baselines.store import record_path


class RecordFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A project's records of what is called `name`; a `problem` of its own is told by its contents.

    An operation needs a record to be judged by its speed, a problem does not.
    """

    root: Path
    name: str
    problem: ProblemVersion | msgspec.UnsetType = msgspec.UNSET

    def path(self, slug: str) -> Path:
        """Return where the record on a GPU (`gpu_slug`) or of an architecture ("sm_89") lies."""
        return record_path(self.root, self.name, slug)

    @property
    def kernel(self) -> Path:
        """Where the accepted kernel lies in the project."""
        return kernel_path(self.name)

    @property
    def is_required(self) -> bool:
        """Whether there is no verdict on speed without a record."""
        return self.problem is msgspec.UNSET
