"""What a judgement leaves on disk: report.json, which can be read back, its pages, and reproduce.py."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.correctness.diagnosis.words import SCRIPT_NAME
from kernelgate.errors import KernelgateError
from kernelgate.files import read_foreign, write_whole
from kernelgate.reporting.html.page import render_html
from kernelgate.reporting.html.pictures import draw_pictures
from kernelgate.reporting.lost_numbers import restore_numbers
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import Report

REPORT_NAME = "report.json"
PAGES = {"report.html": render_html, "report.md": render_markdown}
"""What people read, by the names of the files that are made of a report."""

MAX_REPORT_BYTES = 32 * 2**20
SCHEMA = Report.__struct_defaults__[0]


class ReportError(KernelgateError, ValueError):
    """A file that is no report of this version; the text says which, and what is wrong with it."""


def prepare_folder(asked: Path, *, is_default: bool) -> Path:
    """Return the folder that a report can be written to, which is made if it is missing.

    It is another one, in the system's temporary folder, where the default cannot be written, as in a checkout
    that is read-only. Raises ReportError for one that was asked for.
    """
    try:
        asked.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=asked):
            return asked
    except OSError as error:
        if is_default:
            return Path(tempfile.mkdtemp(prefix="gate-report-"))
        kind = "a file" if asked.is_file() else f"no folder that can be written ({error.strerror})"
        raise ReportError(
            f"--report-dir {asked}: is {kind}; allowed: a folder that is there, or can be made"
        ) from error


def write_report(report: Report, directory: Path) -> None:
    """Write report.json and its pages into the directory, which is made if it is missing.

    Beside them goes reproduce.py, where a script can show the fault.
    """
    plain: Any = msgspec.to_builtins(report)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"
    write_whole(directory / REPORT_NAME, text)
    write_pages(report, directory)
    script = directory / SCRIPT_NAME
    if report.diagnosis is not None and report.diagnosis.script:
        write_whole(script, report.diagnosis.script)
    else:
        script.unlink(missing_ok=True)  # of an earlier judgement


def write_pages(report: Report, directory: Path) -> list[Path]:
    """Return the pages of the report, which are written into the directory."""
    return [write_whole(directory / name, render(report)) for name, render in PAGES.items()]


def write_pictures(report: Report, directory: Path) -> list[Path]:
    """Return the drawings of the report, which are written into the directory; there may be none."""
    return [write_whole(directory / name, content) for name, content in draw_pictures(report)]


def read_report(file: Path) -> Report:
    """Return the report of a report.json, which anybody may have written; raises ReportError.

    A number that was not finite, null in JSON, is read as NaN.
    """
    try:
        document = msgspec.json.decode(read_foreign(file, MAX_REPORT_BYTES))
        _require_schema(document)
        return msgspec.convert(restore_numbers(document, msgspec.inspect.type_info(Report)), Report)
    except OSError as error:
        raise ReportError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise ReportError(f"{file}: is no report: {error!s:.200}") from error


def _require_schema(document: Any) -> None:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema == "kernelgate.report/1":
        raise ValueError(f"schema {schema} is older than {SCHEMA}; judge again with this version")
    if schema != SCHEMA:
        raise ValueError(f"schema is {schema!r:.80}, allowed: {SCHEMA}")
