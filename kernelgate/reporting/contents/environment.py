"""Where a judgement was made, and on which files."""

from collections.abc import Iterator

import msgspec

from kernelgate.reporting.report import KernelIdentity, Report


def list_environment(report: Report) -> Iterator[tuple[str, str]]:
    """Yield versions, machine, rules and files, each with its name."""
    yield from msgspec.structs.asdict(report.environment).items()
    yield "GPU", report.gpu or "none used"
    yield "stage", report.stage
    yield "rule", report.rule
    if report.algorithm != "direct":
        yield "laws", f"by the laws of {report.algorithm} algorithm"
    yield "accepted kernel", _identify(report.accepted, otherwise="")
    yield "candidate", _identify(report.candidate, otherwise=" (not read)")
    if (book := report.book) is not None:
        use = "judged by it, the file was not run" if book.judged_by else "written"
        yield "plan book", f"{book.sha256[:12]}, for {', '.join(book.gpus)}: {use}"
    if (sandbox := report.sandbox) is not None:
        filtered = "system calls filtered" if sandbox.seccomp else "system calls not filtered"
        yield "sandbox", f"Landlock {sandbox.landlock or 'missing'}, {filtered}"


def _identify(kernel: KernelIdentity, otherwise: str) -> str:
    return kernel.path + (f" ({kernel.sha256[:12]})" if kernel.sha256 else otherwise)
