"""An attack that no longer finds its target is no attack: a name that is gone fails."""

import json

import msgspec
import pytest

from kernelgate import protocol
from tests.selftest.corpus.planted.targets import attribute_of, field_of, name_of, variable_of


class Watch:
    def __init__(self) -> None:
        self.found: list[str] = []

    def find(self, what: str) -> None:
        seen = what
        self.found.append(seen)


def test_a_function_of_the_judge_is_known_by_its_name() -> None:
    """It is the name that the code which calls it looks up."""
    assert name_of(protocol.encode) == "encode"


@pytest.mark.parametrize(
    "target", [json.dumps, msgspec.json.encode, Watch.find], ids=lambda target: target.__name__
)
def test_a_function_of_somebody_else_is_no_target(target: object) -> None:
    """Under an alias of the judge's it has another name than the attack would look for."""
    with pytest.raises(LookupError, match="no function of the judge's own"):
        name_of(target)


def test_names_are_those_of_things_that_have_them() -> None:
    """Variables, attributes and fields."""
    assert variable_of(Watch.find, "seen") == "seen"
    assert attribute_of(Watch, "found") == "found"
    assert field_of(protocol.Ran, "memory") == "memory"


def test_a_name_that_is_gone_is_told() -> None:
    """As soon as the corpus is imported."""
    for look_up in (
        lambda: variable_of(Watch.find, "gone"),
        lambda: attribute_of(Watch, "gone"),
        lambda: field_of(protocol.Ran, "gone"),
    ):
        with pytest.raises(LookupError, match="has no gone: change the attacks with it"):
            look_up()
