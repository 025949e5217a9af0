"""What a problem file declares, as data: whoever runs a candidate needs no more, and never the file."""

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.operations.declaration.argument import Argument, Extent
from kernelgate.operations.declaration.error_model import Math


class ProblemError(KernelgateError):
    """A problem file is no operation: `kind` says why in a word, the text which and what is allowed."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


class Problem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operation as a problem file gives it, shapes and names alone.

    `init` is the text of what models are made with, a Python literal. `measured` is the extent of the free
    size N in `get_inputs`, 1 where every size is fixed. The answer of an item along N comes of the same items
    of `rows`, as far as trying shows. `without` are families of values that PyTorch itself has no float32
    answer to. `file` is empty for a process that runs a candidate.
    """

    file: str
    sha256: str
    name: str
    inputs: tuple[Argument, ...]
    parameters: tuple[Argument, ...]
    output: tuple[Extent, ...]
    measured: int
    math: Math
    init: str = "[]"
    rows: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    same_in_eval: bool = True

    def without_file(self) -> "Problem":
        """Return the same for a process that must not import the file."""
        return msgspec.structs.replace(self, file="")
