"""Options of the planted corpus, Hypothesis's profiles, and fixtures of several test files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kernelgate.correctness.planning.hypothesis_profile import register_profiles
from kernelgate.settings import load_settings

if TYPE_CHECKING:
    from tests.selftest.support.pretended_gate import PretendedStages

# Here, and not in a hook: a property takes the profile in force when its module is imported.
register_profiles(load_settings(Path(__file__).parents[2] / "pyproject.toml").correctness)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("corpus", "the planted corpus (tests/selftest/corpus)")
    group.addoption("--corpus-seeds", type=int, default=1, help="seeds for each file of the planted corpus")
    group.addoption("--fault-share", type=int, default=1, help="judge one fault of it in so many")
    group.addoption("--honest-share", type=int, default=1, help="judge one honest file of it in so many")
    group.addoption("--share-turn", type=int, default=0, help="begin each share so many files later")
    group.addoption(
        "--plan-share", type=int, default=1, help="try an honest file on one planned case in so many"
    )
    group.addoption(
        "--general-laws", action="store_true", help="judge it without what operations say of themselves"
    )
    group.addoption("--corpus-record", metavar="FILE", help="append what each file of the corpus showed")


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[PretendedStages]":
    """Give what builds gates whose slow stages are pretended; all are closed after the test."""
    from tests.selftest.support.pretended_gate import PretendedStages  # noqa: PLC0415 - few tests need PyTorch for it

    made = PretendedStages(tmp_path, monkeypatch)
    yield made
    made.close()
