"""How long is looked, and whether the same is drawn each time, by the name of Hypothesis's profile."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

from kernelgate.correctness.planning.hypothesis_profile import (
    EXAMPLES,
    Profile,
    current_profile,
    register_profiles,
)
from kernelgate.settings import CorrectnessSettings, DrawBudget

SETTINGS = CorrectnessSettings(
    sampled_programs=10,
    shrink_seconds=20.0,
    profiles={
        "ci": DrawBudget(examples=5, draw_seconds=1.0, fixed=True, swept=0),
        "default": DrawBudget(examples=6, draw_seconds=2.0, fixed=False, swept=0),
        "nightly": DrawBudget(examples=700, draw_seconds=3.0, fixed=False, swept=0),
    },
)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Register the profiles of this file, and put those of the whole run back."""
    before = {name: hypothesis.settings.get_profile(name) for name in SETTINGS.profiles}
    loaded = hypothesis.settings.get_current_profile_name()
    register_profiles(SETTINGS)
    yield
    for name, profile in before.items():
        hypothesis.settings.register_profile(name, profile)
    hypothesis.settings.load_profile(loaded)


def load(name: str, root: Path) -> Profile:
    hypothesis.settings.load_profile(name)
    return current_profile(SETTINGS, root)


@pytest.mark.parametrize("name", SETTINGS.profiles)
def test_the_loaded_profile_is_the_one_that_is_used(tmp_path: Path, name: str) -> None:
    """By its name, with its own numbers."""
    profile, budget = load(name, tmp_path), SETTINGS.profiles[name]
    assert (profile.name, profile.examples, profile.fixed) == (name, budget.examples, budget.fixed)
    assert (profile.draw_seconds, profile.shrink_seconds) == (budget.draw_seconds, 20.0)
    assert hypothesis.settings.get_profile(name).max_examples == budget.examples


def test_a_profile_that_is_none_of_ours_is_the_default(tmp_path: Path) -> None:
    """A profile of somebody's own says nothing about how strictly to look."""
    hypothesis.settings.register_profile("somebody's own", max_examples=1)
    profile = load("somebody's own", tmp_path)
    assert (profile.name, profile.examples) == ("default", 6)


def test_a_fixed_profile_draws_the_same_each_time(tmp_path: Path) -> None:
    """Others draw anew."""
    fixed, fresh = load("ci", tmp_path), load("nightly", tmp_path)
    assert len({fixed.draw_entropy() for _ in range(20)}) == 1
    assert len({fresh.draw_entropy() for _ in range(20)}) > 10


def test_a_fixed_profile_remembers_no_failure_of_another_run(tmp_path: Path) -> None:
    """What it draws must not depend on what was judged here before; others keep it below the root."""
    assert load("ci", tmp_path).database is None
    kept = load("default", tmp_path).database
    assert isinstance(kept, DirectoryBasedExampleDatabase)
    kept.save(b"key", b"a case")
    assert (tmp_path / EXAMPLES).is_dir()
    assert set(load("nightly", tmp_path).database.fetch(b"key")) == {b"a case"}


@pytest.mark.parametrize("name", SETTINGS.profiles)
def test_hypothesis_itself_knows_the_profiles(name: str) -> None:
    """So that its own option chooses one, and a test without settings of its own follows it."""
    hypothesis.settings.load_profile(name)
    loaded = hypothesis.settings()
    assert loaded.max_examples == SETTINGS.profiles[name].examples
    assert loaded.derandomize == SETTINGS.profiles[name].fixed
    assert loaded.deadline is None
