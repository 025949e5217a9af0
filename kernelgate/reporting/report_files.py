"""What a judgement leaves on disk: report.json and report.md."""

from pathlib import Path
from typing import Any

import msgspec

from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import Report


def write_report(report: Report, directory: Path) -> None:
    """Write report.json and report.md into the directory, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    plain: Any = msgspec.to_builtins(report)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    (directory / "report.md").write_text(render_markdown(report), encoding="utf-8")
