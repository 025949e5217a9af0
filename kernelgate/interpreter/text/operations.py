"""One operation out of its tokens: what most of TTIR's ways to write an operation have in common.

Values, words, texts and attributes stand before the types, in an order that each dialect chooses; the types
follow a colon, an arrow or both.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from kernelgate.interpreter.text.attributes import parse_dictionary, parse_scalar, parse_value
from kernelgate.interpreter.text.module import Operation, Region, Successor, Type
from kernelgate.interpreter.text.tokens import matching, unquote
from kernelgate.interpreter.text.types import parse_type

_SKIPPED = frozenset("()[],*=-<>") | {"attributes", "iter_args", "dense"}
_BETWEEN_TYPES = frozenset("(),*") | {"attributes", "to"}


class _Parts(msgspec.Struct):
    operands: list[str] = []
    words: list[str] = []
    texts: list[str] = []
    attributes: dict[str, Any] = {}
    successors: list[Successor] = []
    carried: list[tuple[str, str]] = []
    inputs: list[Type] = []
    outputs: list[Type] = []


def parse_operation(tokens: Sequence[str], line: int, regions: tuple[Region, ...]) -> Operation:
    """Return the operation of these tokens; raises ValueError."""
    results, tokens = _split_results(tokens)
    if not tokens:
        raise ValueError("an operation has no name")
    name = unquote(tokens[0]) if tokens[0].startswith('"') else tokens[0]
    if "." not in name:
        raise ValueError(f"{name} is no operation of a dialect")
    parts = _Parts()
    place = 1
    if name == "arith.constant":
        place = _parse_constant(tokens, parts)
    place = _parse_body(tokens, place, parts)
    _parse_types(tokens, place, parts)
    return Operation(
        name=name,
        line=line,
        results=tuple(results),
        operands=tuple(parts.operands),
        words=tuple(parts.words),
        texts=tuple(parts.texts),
        attributes=parts.attributes,
        inputs=tuple(parts.inputs),
        outputs=tuple(parts.outputs),
        regions=regions,
        successors=tuple(parts.successors),
        carried=tuple(parts.carried),
    )


def _split_results(tokens: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """Return the names before `=`, those of `%a:2` as `%a#0` and `%a#1`, and the other tokens."""
    if not tokens or not tokens[0].startswith("%") or "=" not in tokens:
        return [], tokens
    end = tokens.index("=")
    names: list[str] = []
    for lexeme in tokens[:end]:
        base, _, count = lexeme.partition(":")
        if lexeme != ",":
            names += [f"{base}#{number}" for number in range(int(count))] if count else [base]
    return names, tokens[end + 1 :]


def _parse_constant(tokens: Sequence[str], parts: _Parts) -> int:
    """Take a constant's value, which may be a bare word or a number; return where the types begin."""
    place = 1
    if tokens[place] == "{":
        end = matching(tokens, place)
        parts.attributes |= parse_dictionary(tokens[place + 1 : end])
        place = end + 1
    colon = _depth_zero_colon(tokens, place)
    parts.attributes["value"], _ = parse_value(tokens[:colon], place)
    return colon


def _depth_zero_colon(tokens: Sequence[str], place: int) -> int:
    while place < len(tokens) and tokens[place] != ":":
        place = matching(tokens, place) + 1 if tokens[place] in "({[<" else place + 1
    return place


def _parse_body(tokens: Sequence[str], place: int, parts: _Parts) -> int:
    """Take what stands before the types; return where these begin."""
    while place < len(tokens) and tokens[place] not in (":", "->"):
        lexeme = tokens[place]
        follower = tokens[place + 1] if place + 1 < len(tokens) else ""
        if lexeme == "{":
            place = _take_dictionary(tokens, place, parts)
        elif lexeme.startswith("^"):
            place = _take_successor(tokens, place, parts)
        elif lexeme.startswith("%"):
            place = _take_value(tokens, place, parts)
        elif follower == "=" and lexeme not in _SKIPPED:
            parts.attributes[lexeme], place = parse_scalar(tokens[place + 2]), place + 3
        else:
            _take_word(lexeme, parts)
            place += 1
    return place


def _take_dictionary(tokens: Sequence[str], place: int, parts: _Parts) -> int:
    end = matching(tokens, place)
    parts.attributes |= parse_dictionary(tokens[place + 1 : end])
    return end + 1


def _take_successor(tokens: Sequence[str], place: int, parts: _Parts) -> int:
    block, end = tokens[place], place + 1
    arguments: tuple[str, ...] = ()
    if end < len(tokens) and tokens[end] == "(":
        end = matching(tokens, end) + 1
        arguments = tuple(lexeme for lexeme in tokens[place:end] if lexeme.startswith("%"))
    parts.successors.append(Successor(block=block, arguments=arguments))
    return end


def _take_value(tokens: Sequence[str], place: int, parts: _Parts) -> int:
    if place + 1 < len(tokens) and tokens[place + 1] == "=":
        parts.carried.append((tokens[place], tokens[place + 2]))
        return place + 3
    parts.operands.append(tokens[place])
    return place + 1


def _take_word(lexeme: str, parts: _Parts) -> None:
    if lexeme.startswith('"'):
        parts.texts.append(unquote(lexeme))
    elif lexeme.startswith("@"):
        parts.words.append(symbol_name(lexeme))
    elif lexeme not in _SKIPPED:
        parts.words.append(lexeme)


def symbol_name(lexeme: str) -> str:
    """Return the name of `@name` or `@"name"`."""
    return unquote(lexeme[1:]) if lexeme.startswith('@"') else lexeme[1:]


def _parse_types(tokens: Sequence[str], place: int, parts: _Parts) -> None:
    found = parts.inputs
    while place < len(tokens):
        lexeme = tokens[place]
        if lexeme == "->":
            found = parts.outputs
        elif lexeme == ":":
            found = parts.inputs
        elif lexeme == "{":
            place = _take_dictionary(tokens, place, parts) - 1
        elif lexeme == "<":
            end = matching(tokens, place)
            found.append(parse_type("".join(tokens[place : end + 1])))
            place = end
        elif lexeme.startswith("%"):
            parts.operands.append(lexeme)
        elif lexeme not in _BETWEEN_TYPES:
            found.append(parse_type(lexeme))
        place += 1
