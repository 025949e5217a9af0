"""The judge and its workers know no operation: its words stand where it is declared, and nowhere else."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "kernelgate"
FOLDERS = ("correctness", "performance", "execution", "worker")

NAMES = {"weight", "bias"}
"""A tensor's name as fixed text: the operation declares how its tensors are called."""

WORDS = re.compile(r"conv(?!er|en|ey|olut(?!ion))|channel|image|nchw", re.IGNORECASE)
"""In code: names and texts that are no docstring."""

ALLOWED = {
    "correctness/case.py": ({"channels-last"}, "a memory format of PyTorch's"),
    "worker/tensors/layouts.py": (
        {"channels-last", "CHANNELS_LAST", "channels_last", "_channels_last"},
        "a memory format of PyTorch's",
    ),
    "worker/tensors/operators.py": (
        {"conv", "_conv", "slow_conv", "_slow_conv", "thnn_conv", "mps_conv"},
        "operators of PyTorch that compute an answer",
    ),
    "worker/record/moves.py": ({"channels"}, "PyTorch's pixel_unshuffle moves channels"),
    "correctness/relations.py": ({"channels"}, "what the features of an answer are called, to a person"),
    "correctness/relation_calls.py": ({"weight"}, "a role of `Argument`: drawn as a matrix, of two halves"),
    "correctness/coverage/tried.py": ({"weight"}, "a role of `Argument`, and a field of the report"),
}
"""By file: the words that stand there, and why."""


def code_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield each name and each text of a module, without comments and docstrings, with its line."""
    started = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        blank = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL)
        is_text = tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE")
        if token.type == tokenize.NAME or (is_text and not started):
            yield token.start[0], token.string
        started = blank or (started and token.type in (tokenize.COMMENT, tokenize.ENCODING))


def words_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield every word of a convolution, or of the names of its tensors, with its line."""
    for line, piece in code_of(text):
        if piece[0] not in "\"'" and not piece.startswith(('f"', "f'")):
            yield from ((line, piece) for _ in WORDS.findall(piece)[:1])
            continue
        inside = piece.strip("f\"'")
        yield from ((line, inside) for _ in range(inside in NAMES))
        found = re.findall(r"[\w-]+", inside)
        yield from ((line, word) for word in found if word not in NAMES and WORDS.search(word))


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_but_a_declaration_speaks_of_a_convolution(folder: str) -> None:
    """Of images, channels, or tensors by fixed names; each exception has its reason beside it."""
    for file in sorted((PACKAGE / folder).rglob("*.py")):
        name = str(file.relative_to(PACKAGE))
        allowed, _ = ALLOWED.get(name, (set[str](), ""))
        found = {(line, word) for line, word in words_of(file.read_text("utf-8")) if word not in allowed}
        assert not found, f"{name}: {sorted(found)}"


@pytest.mark.parametrize("name", ALLOWED)
def test_each_exception_is_still_needed(name: str) -> None:
    """And no longer a word of it than there is."""
    allowed, reason = ALLOWED[name]
    assert reason
    assert {word for _, word in words_of((PACKAGE / name).read_text("utf-8"))} == allowed


@pytest.mark.parametrize(
    "line",
    [
        "images = 3",
        "def _an_image(): ...",
        "class Convolution: ...",
        'torch.conv2d(x, "a")',
        'held = tensors["weight"]',
        "held = tensors['bias']",
        'says = "x in NCHW"',
        "self.out_channels",
        'text = f"image {n}"',
    ],
)
def test_a_word_of_a_convolution_is_seen(line: str) -> None:
    """In a name, a key and a text."""
    assert list(words_of(line + "\n"))


@pytest.mark.parametrize(
    "line",
    [
        '"""Return an image of weight and bias."""',
        "# channels of an image",
        "converted = convert(conventions, converse)",
        "role = argument.weight",
        'says = "the weight and the bias of a model"',
    ],
)
def test_what_is_no_such_word_is_not(line: str) -> None:
    """What is said to a reader of the code, and words that begin alike."""
    assert list(words_of(line + "\n")) == []
