"""Why a kernel is not interpreted: a text that is not understood, an operation that is lacking."""

from kernelgate.errors import KernelgateError


class CannotInterpretError(KernelgateError):
    """The interpreter lacks what a kernel needs. The kernel may be right or wrong: nothing is said of it."""


class TtirSyntaxError(CannotInterpretError):
    """A line of TTIR is not understood."""

    def __init__(self, number: int, line: str, why: str) -> None:
        super().__init__(f"TTIR line {number}: {why}: {line.strip()[:200]}")
        self.line = number
