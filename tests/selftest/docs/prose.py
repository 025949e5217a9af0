"""The house rule of prose, CONTRIBUTING.md: what of it can be checked without a false alarm."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    file
    for place in ("*.md", "docs/*.md", "docs/examples/README.md", "docs/examples/act/README.md")
    for file in ROOT.glob(place)
)

MAX_WORDS = 30
"""Of a sentence; a piece of code is one word, a table's cell holds sentences like any paragraph."""

FUTURE = re.compile(r"\b(?:will|shall)\b|\bgoing to\b|\b\w+'ll\b", re.IGNORECASE)
DIALECT = re.compile(
    r"\b(?:(?:is|are|was) told|told (?:against|by|first|gain|with)|by the same path|as ever|by turns|amiss"
    r"|for (?:good|ever|want of)|whoever|(?:nobody|anybody|everybody|somebody else)'s|hitherto|likewise"
    r"|reckoned|be rid of|to be had|owes nothing|ha(?:s|ve) a say|no fraud|the whole of|held against)\b",
    re.IGNORECASE,
)
"""Words of no kernel engineer, found in earlier versions of these pages; plain ones say the same."""

ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]+);", re.IGNORECASE)
END = re.compile(r"""(?<=[.!?])["')\]]*\s+(?=["'(\[]*[A-Z0-9])""")


class Break(NamedTuple):
    """One break of the rule: the line that its paragraph begins at, and what is wrong."""

    line: int
    what: str


def check_prose(page: str) -> list[Break]:
    """Return every break of the rule in the text of a page."""
    found = []
    for block in MarkdownIt("commonmark").enable("table").parse(page):
        line = (block.map or [0])[0] + 1
        if block.type == "html_block" and not block.content.startswith("<!--"):
            found.append(Break(line, "HTML"))
        if block.type == "inline":
            found += [Break(line, what) for what in _check_paragraph(block)]
    return found


def _check_paragraph(paragraph: Token) -> Iterator[str]:
    text = "".join(_read(each) for each in paragraph.children or [])
    for sentence in END.split(text):
        words = [word for word in sentence.split() if any(map(str.isalnum, word))]
        if len(words) > MAX_WORDS:
            yield f"{len(words)} words, allowed: {MAX_WORDS}: {sentence}"
    for rule, name in ((FUTURE, "future tense"), (DIALECT, "private word")):
        yield from (f"{name}: {match[0]}" for match in rule.finditer(text))
    if entity := ENTITY.search(re.sub(r"`[^`]*`", "", paragraph.content)):
        yield f"Markdown entity: {entity[0]}"
    if any(each.type == "html_inline" for each in paragraph.children or []):
        yield "HTML"


def _read(part: Token) -> str:
    """Return a part of a paragraph as it is read; code counts as one word."""
    if part.type == "code_inline":
        return "Code"
    return " " if part.type in ("softbreak", "hardbreak") else part.content


def main(pages: list[Path]) -> int:
    """Print every break in the pages; returns 1 if there is one."""
    lines = [
        f"{page}:{line}: {what}"
        for page in pages
        for line, what in check_prose(page.read_text(encoding="utf-8"))
    ]
    print(*lines, sep="\n", end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]] or PAGES))
