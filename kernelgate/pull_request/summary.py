"""What a change comes to: a word for each verdict, one page, and what is said of each failure."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kernelgate.files import read_foreign
from kernelgate.pull_request.change import Change
from kernelgate.pull_request.judge import MAX_REPORT_BYTES, Judged
from kernelgate.reporting.markdown import code, inert, table

NOTHING = "NOTHING_TO_JUDGE"
REFUSED = "REFUSED"


def summarise(change: Change | None, judged: Sequence[Judged]) -> str:
    """Return the verdicts in a word each, those that fail first."""
    words = [each.verdict for each in sorted(judged, key=lambda each: each.passes)]
    refused = [REFUSED] if change and change.refused else []
    return ", ".join(dict.fromkeys([*refused, *words])) or NOTHING


def passes(change: Change | None, judged: Sequence[Judged]) -> bool:
    """Return whether nothing was refused and every judgement passes."""
    return not (change and change.refused) and all(each.passes for each in judged)


def render_page(change: Change | None, judged: Sequence[Judged], reports: Path) -> str:
    """Return the page for people: first what of the judge was edited, then a report for each kernel."""
    parts = [f"# kernelgate: {summarise(change, judged)}", *(_render_change(change) if change else ())]
    rows = [(each.kernel, each.rule, each.verdict, each.detail, each.next_step) for each in judged]
    if rows:
        parts.append(table(("kernel", "rule", "verdict", "why", "what to do"), rows))
    parts += [_read_page(reports / each.folder) for each in judged if each.folder]
    return "\n\n".join(parts) + "\n"


def _read_page(folder: Path) -> str:
    try:
        return read_foreign(folder / "report.md", MAX_REPORT_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return f"{code(folder.name)}: the gate left no page that can be read."


def _render_change(change: Change) -> Iterator[str]:
    if change.edited:
        yield "**This change also edits what judges.** The base commit's files judged the kernels, not these:"
        yield "\n".join(f"- {kind}: {_list(paths)}" for kind, paths in change.edited.items())
    if change.refused:
        yield "**Refused without a trial:**\n\n" + "\n".join(f"- {inert(why)}" for why in change.refused)
    if change.from_nothing:
        yield "There is no earlier commit to compare with: every accepted kernel is judged by rule `guard`."
    elif change.guards_all:
        yield "Every accepted kernel must be judged anew by the edited files, under rule `guard`."
    if not change.kernels and not change.guards_all and not change.refused:
        yield "No kernel was changed, nor anything that judges one: there is nothing to judge."
    if change.kernels and not change.needs_tests:
        yield "Only kernels are changed, and they are judged: lint, types and self-tests are not run."


def _list(paths: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(code(ascii(path)[1:-1]) for path in paths[:most])
    return shown + (f" and {len(paths) - most} more" if len(paths) > most else "")


def outputs_of(change: Change | None, judged: Sequence[Judged]) -> dict[str, str]:
    """Return what later steps and jobs ask for."""
    return {
        "verdict": summarise(change, judged),
        "guard": "true" if change and change.guards_all else "false",
        # Where nobody looked, they run.
        "tests": "false" if change and not change.needs_tests else "true",
    }


def failures_of(change: Change | None, judged: Sequence[Judged]) -> list[str]:
    """Return a line for each thing that fails the change."""
    refused = list(change.refused) if change else []
    return refused + [f"{each.kernel}: {each.verdict}: {each.detail}" for each in judged if not each.passes]
