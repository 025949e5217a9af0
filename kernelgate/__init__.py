"""The gate for proposed Triton kernels: still right and really faster, or revert.

`kernelgate.judge(file, ...)` is `kernelgate judge` for programs: it returns the report.
`kernelgate.judge_all(files, ...)` yields the results of many files as they come.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernelgate.batch.run import judge_all as judge_all
    from kernelgate.judging.judge import judge as judge

__version__ = "0.1.0"
__all__ = ["judge", "judge_all"]


def __getattr__(name: str) -> Any:
    """Import what is asked for then: most of what imports this package does not judge."""
    if name == "judge":
        from kernelgate.judging.judge import judge  # noqa: PLC0415

        return judge
    if name == "judge_all":
        from kernelgate.batch.run import judge_all  # noqa: PLC0415

        return judge_all
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
