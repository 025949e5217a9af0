"""The commands that README and docs show: of this project, each as the words that a shell would pass on."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from tests.selftest.docs.prose import PAGES, ROOT

PROGRAMS = ("kernelgate", "make", "pytest")
PYTHONS = ("python", "python3")


class Command(NamedTuple):
    """A command of a page. One that stands within a sentence may be a name alone, as `kernelgate tune`."""

    page: str
    words: tuple[str, ...]
    is_whole: bool

    @property
    def text(self) -> str:
        """The words, with `python -m pytest` as `pytest` and the path of a program left out."""
        return " ".join(self.words)


def collect_commands() -> list[Command]:
    """Return every command of every page but the changelog, which speaks of the past."""
    return [each for page in PAGES if page.name != "CHANGELOG.md" for each in read_commands(page)]


def read_commands(page: Path) -> Iterator[Command]:
    """Yield the commands of a page: lines of blocks, and code within sentences and tables."""
    name = str(page.relative_to(ROOT))
    for block in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        if block.type == "fence" and block.info in ("", "sh", "bash"):
            for line in block.content.replace("\\\n", " ").splitlines():
                yield from (Command(name, words, True) for words in split_line(line))
        for part in block.children or []:
            if part.type == "code_inline":
                for words in split_line(part.content):
                    yield Command(name, words, len(words) > 2 or words[0] == "make")


def split_line(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of this project in a line of a shell; none if it is no such line."""
    if not re.search(r"\b(?:kernelgate|make|pytest|python3?) ", line):
        return
    line = re.sub(r"<(\w+)>", r"\1", line.removeprefix("$ "))
    shell = shlex.shlex(line, posix=True, punctuation_chars=True)
    shell.whitespace_split = True
    try:
        words = list(shell)
    except ValueError:  # a sentence with one quotation mark
        return
    command: list[str] = []
    for word in [*words, "&&"]:
        if word in ("&&", "|", ">", ";"):
            yield from _keep(command)
            command = []
        elif not word.startswith("["):
            command.append(word)


def _keep(words: list[str]) -> Iterator[tuple[str, ...]]:
    program, *rest = words or [""]
    program = program.rpartition("/")[2] if program.startswith(".venv/bin/") else program
    if program in PYTHONS and rest[:1] == ["-m"] and len(rest) > 1:
        module, *rest = rest[1:]
        if module in PROGRAMS:
            yield (module, *rest)
        else:
            yield ("python", "-m", module, *rest)
    elif program in PROGRAMS and rest:
        yield (program, *rest)
