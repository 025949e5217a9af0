"""TTIR's text read into a module: one operation a line, regions in braces."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from kernelgate.interpreter.errors import TtirSyntaxError
from kernelgate.interpreter.text.module import Block, Function, Module, Operation, Parameter, Region
from kernelgate.interpreter.text.operations import parse_operation, symbol_name
from kernelgate.interpreter.text.tokens import matching, tokens_of, without_locations
from kernelgate.interpreter.text.types import parse_type
from kernelgate.interpreter.text.unique_names import UniqueNames

MAX_DEPTH = 100
ENTRY = "^bb0"
_COMMENT = re.compile(r"\s*//\s.*$")


class _Line(NamedTuple):
    number: int
    text: str
    tokens: list[str]


def parse(ttir: str) -> Module:
    """Return the module that the text describes; raises TtirSyntaxError, which names the line."""
    reader = _Reader(list(_read_lines(ttir)))
    if reader.line.tokens[:1] != ["module"]:
        raise reader.error("a module is expected")
    reader.next()
    functions: dict[str, Function] = {}
    while reader.line.tokens[0] != "}":
        function = reader.read_function()
        functions[function.name] = function
    reader.next()
    if reader.place < len(reader.lines):
        raise reader.error("nothing is expected behind the module")
    if not any(each.public for each in functions.values()):
        raise reader.error("the module has no kernel")
    return Module(functions=functions)


def _read_lines(ttir: str) -> "Sequence[_Line]":
    found: list[_Line] = []
    names = UniqueNames()
    for number, text in enumerate(ttir.splitlines(), start=1):
        if not text.strip() or text.startswith("#"):
            continue
        plain = without_locations(text)
        plain = _COMMENT.sub("", plain) if "//" in plain and '"' not in plain else plain
        try:
            tokens = tokens_of(plain)
        except ValueError as error:
            raise TtirSyntaxError(number, text, str(error)) from None
        if tokens:
            found.append(_Line(number, text, names.rename(tokens)))
    return found


class _Reader:
    """Goes through the lines, a region at a time."""

    def __init__(self, lines: list[_Line]) -> None:
        self.lines = lines
        self.place = 0
        self.depth = 0

    @property
    def line(self) -> _Line:
        if self.place >= len(self.lines):
            last = self.lines[-1] if self.lines else _Line(1, "", [])
            raise TtirSyntaxError(last.number, last.text, "the text ends too early")
        return self.lines[self.place]

    def next(self) -> _Line:
        line = self.line
        self.place += 1
        return line

    def error(self, why: str) -> TtirSyntaxError:
        line = self.lines[min(self.place, len(self.lines) - 1)] if self.lines else _Line(1, "", [])
        return TtirSyntaxError(line.number, line.text, why)

    def read_function(self) -> Function:
        line = self.line
        try:
            name, public, parameters, rest = _parse_header(line.tokens)
            results = _result_types(rest)
        except (ValueError, IndexError) as error:
            raise self.error(str(error)) from None
        self.next()
        body, _ = self.read_region()
        return Function(
            name=name,
            public=public,
            parameters=parameters,
            results=tuple(parse_type(each) for each in results),
            body=body,
        )

    def read_region(self) -> tuple[Region, list[str]]:
        """Read blocks until the brace that closes them; return them and that line's other tokens."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"regions are nested more than {MAX_DEPTH} deep")
        blocks: list[Block] = []
        name, parameters, operations = ENTRY, tuple[Parameter, ...](), list[Operation]()
        while self.line.tokens[0] != "}":
            if self.line.tokens[0].startswith("^"):
                if operations:
                    blocks.append(Block(name=name, parameters=parameters, operations=tuple(operations)))
                name, parameters = self.read_label()
                operations = []
            else:
                operations.append(self.read_operation())
        blocks.append(Block(name=name, parameters=parameters, operations=tuple(operations)))
        self.depth -= 1
        return Region(blocks=tuple(blocks)), self.next().tokens[1:]

    def read_label(self) -> tuple[str, tuple[Parameter, ...]]:
        tokens = self.line.tokens
        try:
            end = matching(tokens, 1) if tokens[1] == "(" else 1
            label = tokens[0], _parse_parameters(tokens[2:end])
        except (ValueError, IndexError) as error:
            raise self.error(str(error)) from None
        self.next()
        return label

    def read_operation(self) -> Operation:
        line = self.next()
        tokens = line.tokens
        regions: list[Region] = []
        opens = tokens[-1] == "{"
        tokens = tokens[:-1] if opens else tokens
        while opens:
            region, rest = self.read_region()
            regions.append(region)
            opens = rest[-1:] == ["{"]
            tokens = [*tokens, *(() if opens else rest)]
        try:
            return parse_operation(tokens, line.number, tuple(regions))
        except (ValueError, IndexError) as error:
            raise TtirSyntaxError(line.number, line.text, str(error)) from None


def _parse_header(tokens: Sequence[str]) -> tuple[str, bool, tuple[Parameter, ...], Sequence[str]]:
    if tokens[0] != "tt.func" or tokens[-1] != "{":
        raise ValueError("a function is expected")
    at = next(place for place, lexeme in enumerate(tokens) if lexeme.startswith("@"))
    end = matching(tokens, at + 1)
    parameters = _parse_parameters(tokens[at + 2 : end])
    return symbol_name(tokens[at]), "public" in tokens[:at], parameters, tokens[end + 1 : -1]


def _parse_parameters(tokens: Sequence[str]) -> tuple[Parameter, ...]:
    """Return the parameters of `%a: type {attributes}, ...`."""
    found: list[Parameter] = []
    place = 0
    while place < len(tokens):
        found.append(Parameter(name=tokens[place], type=parse_type(tokens[place + 2])))
        place += 3
        if place < len(tokens) and tokens[place] == "{":
            place = matching(tokens, place) + 1
        place += 1  # the comma
    return tuple(found)


def _result_types(tokens: Sequence[str]) -> list[str]:
    """Return the types between `->` and `attributes`."""
    if tokens[:1] != ["->"]:
        return []
    end = list(tokens).index("attributes") if "attributes" in tokens else len(tokens)
    return [lexeme for lexeme in tokens[1:end] if lexeme not in "(),"]
