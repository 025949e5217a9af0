"""What of the interpreter's findings no right kernel does, and what of them ends a call."""

from collections.abc import Callable, Sequence

from kernelgate.execution.sampling import are_far_apart
from kernelgate.interpreter.findings import Finding

NEVER_END = ("endless", "waits-for-ever")


class EndlessLaunchError(RuntimeError):
    """Programs of a launch do not end."""


class AssertionFailedError(RuntimeError):
    """A device assertion failed."""


def check_ended(found: Sequence[Finding]) -> None:
    """Raise EndlessLaunchError if programs do not end, AssertionFailedError if one gave up."""
    for finding in found:
        if finding.kind in NEVER_END:
            raise EndlessLaunchError(finding.text)
        if finding.kind == "assert":
            raise AssertionFailedError(finding.text)


def told(found: Sequence[Finding], describe: Callable[[Finding], str]) -> tuple[str, ...]:
    """Return what was found wrong, as `describe` says it: each first of its kind."""
    first: dict[str, Finding] = {}
    for finding in found:
        if _is_wrong(finding):
            first.setdefault(finding.kind, finding)
    return tuple(map(describe, first.values()))


def _is_wrong(finding: Finding) -> bool:
    """Whether it is a fault: neighbours may share a tile's edge, and write the same there."""
    if finding.kind != "same-value":
        return True
    return finding.other is None or are_far_apart(finding.program, finding.other)
