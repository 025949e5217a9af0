"""Attributes of operations: numbers, texts, words, and the constants that `dense<...>` spells."""

from collections.abc import Sequence
from typing import Any

from kernelgate.interpreter.text.tokens import matching, unquote

_NAMED = {"true": True, "false": False, "unit": True}


def parse_dictionary(tokens: Sequence[str]) -> dict[str, Any]:
    """Return what `name = value, ...` names; a name without a value is True."""
    found: dict[str, Any] = {}
    place = 0
    while place < len(tokens):
        name = tokens[place].strip('"')
        found[name] = True
        place += 1
        if place < len(tokens) and tokens[place] == "=":
            found[name], place = parse_value(tokens, place + 1)
        if place < len(tokens) and tokens[place] != ",":
            raise ValueError(f"attribute {name} is not understood")
        place += 1
    return found


def parse_value(tokens: Sequence[str], place: int) -> tuple[Any, int]:
    """Return the value that begins at `place`, and where it ends; its type is left out.

    A hexadecimal number stays text: it may be the bits of a float.
    """
    lexeme = tokens[place]
    if lexeme in ("dense", "array") and tokens[place + 1] == "<":
        end = matching(tokens, place + 1)
        value: Any = _parse_elements(tokens[place + 2 : end])
        value = tuple(value) if isinstance(value, list) else value
    elif lexeme == "[":
        end = matching(tokens, place)
        value = tuple(_parse_list(tokens[place + 1 : end]))
    elif lexeme == "#":
        end, value = place + 1, tokens[place + 1]
    else:
        end, value = place, parse_scalar(lexeme)
    return value, _skip_type(tokens, end + 1)


def _skip_type(tokens: Sequence[str], place: int) -> int:
    return place + 2 if place + 1 < len(tokens) and tokens[place] == ":" else place


def parse_scalar(lexeme: str) -> Any:
    """Return what one lexeme says: a text, a boolean, a number, or the word itself."""
    if lexeme.startswith('"'):
        return unquote(lexeme)
    if lexeme in _NAMED:
        return _NAMED[lexeme]
    if lexeme[0].isdigit() or (lexeme[0] == "-" and lexeme[1:2].isdigit()):
        return _parse_number(lexeme)
    return lexeme


def _parse_number(lexeme: str) -> int | float | str:
    if "x" in lexeme:
        return lexeme
    return float(lexeme) if any(letter in lexeme for letter in ".eE") else int(lexeme)


def _parse_elements(tokens: Sequence[str]) -> Any:
    """Return what stands in the brackets of `dense` or `array`: one value for all, bytes, or nested lists."""
    if len(tokens) > 1 and tokens[1] == ":":
        return _parse_list(tokens[2:])
    if len(tokens) == 1 and tokens[0].startswith('"0x'):
        return bytes.fromhex(tokens[0][3:-1])
    if len(tokens) == 1:
        return parse_scalar(tokens[0])
    if tokens and tokens[0] == "[":
        return _parse_list(tokens[1 : matching(tokens, 0)])
    return _parse_list(tokens)


def _parse_list(tokens: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    place = 0
    while place < len(tokens):
        if tokens[place] == "[":
            end = matching(tokens, place)
            found.append(_parse_list(tokens[place + 1 : end]))
            place = end + 1
        else:
            value, place = parse_value(tokens, place)
            found.append(value)
        place += 1  # the comma
    return found
