"""The page of all verdicts: `python -m kernelgate.reporting.verdict_list > docs/verdicts.md`."""

from collections.abc import Iterator

from kernelgate.verdict import Outcome, Reason

_HEAD = """# Verdicts

Every judgement ends in one outcome, with one reason code. A code has one meaning and belongs to one outcome.
`report.json` holds both as `verdict` and `reason`, with a sentence (`detail`) and a next step (`next_step`).

Exit code 0 says that the candidate passes, 1 that it does not. NOT_MEASURED fails where timing was asked for
(`-m perf`). FILE stands for a file, CASE for the case that the report names, OPERATION for the operation, WHY
for a reason in one line.

This page is made from `kernelgate/outcome.py` and `kernelgate/reasons.py`:
`python -m kernelgate.reporting.verdict_list > docs/verdicts.md`."""


def render_verdicts() -> str:
    """Return the page, in Markdown."""
    return "\n\n".join([_HEAD, _render_outcomes(), *map(_render_reasons, Outcome)]) + "\n"


def _render_outcomes() -> str:
    rows = ((each.value, str(int(not each.passes)), each.meaning, each.next_step) for each in Outcome)
    return "\n".join(_table(("outcome", "exit code", "meaning", "next step"), rows))


def _render_reasons(outcome: Outcome) -> str:
    rows = ((f"`{each.value}`", each.meaning, each.next_step) for each in Reason if each.outcome is outcome)
    return "\n".join([f"## {outcome.value}", "", *_table(("code", "meaning", "next step"), rows)])


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield from (f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


if __name__ == "__main__":
    print(render_verdicts(), end="")
