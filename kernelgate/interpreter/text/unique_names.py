"""Gives every value of a function a name of its own.

MLIR prints `%1` again in a region beside the one that had it. What is noted of a value is noted by its name:
without this, what is known of one would be taken for another's.
"""

from collections import Counter
from collections.abc import Sequence

_Scope = dict[str, str]


class UniqueNames:
    """The names that are seen at this place of the text, region within region, and those already given."""

    def __init__(self) -> None:
        self._scopes: list[_Scope] = [{}]
        self._given = Counter[str]()

    def rename(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens of the next line with unique names.

        A brace at its end begins a region, one at its start ends one.
        """
        if tokens[0] == "}" and len(self._scopes) > 1:
            self._scopes.pop()
        opens = tokens[-1] == "{"
        results = _count_results(tokens)
        renamed = [self._used(each) for each in tokens]
        for place in range(results):
            renamed[place] = self._defined(tokens[place])
        if opens:
            self._begin_region(is_function=tokens[0] == "tt.func")
        if opens or tokens[0].startswith("^"):
            for place in _begun(tokens, results):
                renamed[place] = self._defined(tokens[place])
        return renamed

    def _begin_region(self, *, is_function: bool) -> None:
        if is_function:
            self._given.clear()
        self._scopes.append({})

    def _defined(self, lexeme: str) -> str:
        if not lexeme.startswith("%"):
            return lexeme
        name, colon, count = lexeme.partition(":")
        self._given[name] += 1
        times = self._given[name]
        unique = self._scopes[-1][name] = name if times == 1 else f"{name}'{times}"
        return unique + colon + count

    def _used(self, lexeme: str) -> str:
        if not lexeme.startswith("%"):
            return lexeme
        name, sharp, number = lexeme.partition("#")
        found = next((scope[name] for scope in reversed(self._scopes) if name in scope), name)
        return found + sharp + number


def _count_results(tokens: Sequence[str]) -> int:
    """Return how many tokens name the results of an operation: those before its first `=`."""
    return list(tokens).index("=") if tokens[0].startswith("%") and "=" in tokens else 0


def _begun(tokens: Sequence[str], results: int) -> list[int]:
    """Return where a line names the values that its region or block is given."""
    marks = (":",) if tokens[0] == "tt.func" or tokens[0].startswith("^") else ("=",)
    return [
        place
        for place in range(results, len(tokens) - 1)
        if tokens[place].startswith("%") and tokens[place + 1] in marks
    ]
