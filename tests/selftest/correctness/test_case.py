"""The texts that name a case, and what a case asks for."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgate.correctness.case import EXPANDED, GREY, LAYOUTS, NO_RELATION, SEED_LIMIT, Case, parse_case
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.inputs import make_x
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.values import FAMILIES

PLAIN = Case(batch=2, family="normal", seed=7, pin=0)

cases = st.builds(
    Case,
    batch=st.integers(1, ALEXNET_CONV1.max_batch),
    family=st.sampled_from(list(FAMILIES)),
    seed=st.integers(0, SEED_LIMIT - 1),
    pin=st.integers(0, 63),
    programs=st.integers(0, 100),
    layout=st.sampled_from(LAYOUTS),
    relation=st.sampled_from(list(RELATIONS)),
)


@given(cases)
@settings(max_examples=200, deadline=None)
def test_a_case_survives_its_replay_text(case: Case) -> None:
    """What a report names is what the option takes."""
    assert parse_case(case.replay) == case


def test_a_text_may_leave_out_what_is_as_usual() -> None:
    """All programs, x as it lies by default, one call."""
    assert parse_case("batch=2,family=normal,seed=7,pin=0") == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch=1",
        "batch",
        "batch=1,family=normal,seed=1",
        "batch=1,family=normal,seed=1,pin=0,programs=0,tolerance=9",
        "batch=1,family=unheard-of,seed=1,pin=0,programs=0",
        "batch=1,family=normal,seed=1,pin=0,layout=sideways",
        "batch=1,family=normal,seed=1,pin=0,relation=distant",
        "batch=0,family=normal,seed=1,pin=0,programs=0",
        "batch=-1,family=normal,seed=1,pin=0,programs=0",
        "batch=1,family=normal,seed=-1,pin=0,programs=0",
        "batch=1,family=normal,seed=1,pin=-1,programs=0",
        "batch=1,family=normal,seed=1,pin=0,programs=-1",
        "batch=x,family=normal,seed=1,pin=0,programs=0",
        "batch=1.5,family=normal,seed=1,pin=0,programs=0",
        f"batch=1,family=normal,seed={SEED_LIMIT},pin=0,programs=0",
        f"batch=1,family=normal,seed={2**64},pin=0,programs=0",
        "batch=1;family=normal;seed=1;pin=0;programs=0",
    ],
)
def test_a_text_that_is_no_case_is_refused(text: str) -> None:
    """The message repeats the text, so that a person sees what was read."""
    with pytest.raises(ValueError, match="not a case") as caught:
        parse_case(text)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_case_or_a_value_error(text: str) -> None:
    """Nothing else escapes, and nothing is guessed."""
    with pytest.raises(ValueError, match="not a case"):
        parse_case(text)


def test_the_largest_seed_that_is_taken_makes_tensors() -> None:
    """The limit is one that torch's generators hold to."""
    case = parse_case(msgspec.structs.replace(PLAIN, batch=1, seed=SEED_LIMIT - 1).replay)
    assert bool(make_x(ALEXNET_CONV1, case.recipe).any())


@given(cases)
@settings(max_examples=50, deadline=None)
def test_the_tensors_of_a_case_are_those_of_its_family_seed_and_batch(case: Case) -> None:
    """Whatever its relation is: that one changes the calls, from the same tensors."""
    recipe = Recipe(family=case.family, seed=case.seed, batch=case.batch)
    if case.layout == EXPANDED:  # one image is the whole batch
        recipe = msgspec.structs.replace(recipe, pool=1)
    if case.layout == GREY:
        recipe = msgspec.structs.replace(recipe, grey=True)
    assert case.recipe == recipe
    assert msgspec.structs.replace(case, relation=NO_RELATION).recipe == recipe


@pytest.mark.parametrize(
    ("field", "simpler", "harder"),
    [
        ("batch", 2, 3),
        ("family", "normal", "special-weight"),
        ("layout", "contiguous", "transposed"),
        ("relation", "none", "no-bias"),
    ],
)
def test_the_simpler_case_comes_first(field: str, simpler: object, harder: object) -> None:
    """Of two findings a person is shown the one with less to look at; the batch counts most."""
    one = msgspec.structs.replace(PLAIN, **{field: simpler})
    other = msgspec.structs.replace(PLAIN, **{field: harder})
    assert one.simplicity < other.simplicity
    assert msgspec.structs.replace(other, batch=1).simplicity < one.simplicity
    assert one.simplicity < msgspec.structs.replace(one, seed=one.seed + 1).simplicity


def test_a_case_is_described_by_what_is_not_as_usual() -> None:
    """In words, for a sentence; a plain case is not followed by a list of defaults."""
    odd = msgspec.structs.replace(PLAIN, programs=10, layout="offset", relation="repeat", pin=3)
    assert str(PLAIN) == "N=2, normal, config 0, all programs, seed 7"
    assert str(odd) == "N=2, normal, config 3, 10 sampled programs, seed 7, offset, repeat"
