"""Writes what the corpus showed into docs/corpus.md.

Run `python -m tests.selftest.corpus.planted.table RECORD...`.
Records are the files that `pytest tests/selftest/corpus/test_planted.py --corpus-record FILE` appends to.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.selftest.corpus.planted.judging import Judged

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "corpus.md"
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def load(files: Iterable[Path]) -> list[Judged]:
    """Return all lines of the records."""
    return [
        msgspec.json.decode(line, type=Judged) for file in files for line in file.read_bytes().splitlines()
    ]


def render(judged: Sequence[Judged]) -> str:
    """Return the tables, faults before honest files, with a sentence of counts before each."""
    return "\n\n".join(
        part
        for honest, title in ((False, "Planted faults"), (True, "Honest look-alikes"))
        for part in _section(title, [each for each in judged if each.honest is honest])
    )


def _section(title: str, judged: Sequence[Judged]) -> list[str]:
    names = list(dict.fromkeys((each.group, each.name) for each in judged))
    counts = [f"{len(names)} files."]
    for on_gpu, where in ((False, "Without a GPU"), (True, "On a GPU")):
        of_place = [each for each in judged if each.on_gpu is on_gpu]
        laws = sum(bool(each.law) for each in of_place)
        texts = sum(each.is_found and not each.law for each in of_place)
        seeds = len({each.seed for each in of_place})
        files = len({(each.group, each.name) for each in of_place})
        runs = f"{where}: {files} files on {_count(seeds, 'seed')}, {len(of_place)} judgements"
        found = f"{laws} found by a law, {texts} by their text alone"
        missed = f"{found}, {len(of_place) - laws - texts} not found"
        counts.append(f"{runs}: {f'{laws + texts} refused' if judged[0].honest else missed}.")
    rows = [_row([each for each in judged if (each.group, each.name) == name]) for name in names]
    header = ["| file | what it does | text refused | without a GPU | on a GPU |", "|---|---|---|---|---|"]
    return [f"### {title}", " ".join(counts), "\n".join([*header, *rows])]


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _row(judged: Sequence[Judged]) -> str:
    first = judged[0]
    cells = [first.name, first.says, "yes" if first.names else ""]
    cells += [_cell([each for each in judged if each.on_gpu is on_gpu]) for on_gpu in (False, True)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(judged: Sequence[Judged]) -> str:
    """Return the laws that found it, and the seconds it took on the slowest seed."""
    if not judged:
        return "not run"
    laws = ", ".join(sorted({each.law or "no law" for each in judged}))
    return f"{laws}, {max(each.seconds for each in judged):.0f} s"


def main(files: Sequence[str]) -> None:
    """Replace the part of the document between its marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    table = render(load(map(Path, files)))
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
