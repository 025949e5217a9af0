"""The gate for proposed Triton kernels: still right and really faster, or revert.

`kernelgate.judge(file, ...)` is `kernelgate judge` for programs: it returns the report.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelgate.judging.judge import judge as judge

__version__ = "0.1.0"
__all__ = ["judge"]


def __getattr__(name: str) -> Any:
    """Import `judge` when it is asked for: most of what imports this package does not judge."""
    if name == "judge":
        from kernelgate.judging.judge import judge  # noqa: PLC0415

        return judge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
