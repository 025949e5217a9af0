"""Fixtures of several test files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.selftest.support.pretended_gate import Bench


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernelgate corpus", "planted faults and honest files (tests/selftest/corpus)")
    group.addoption(
        "--plan-share", type=int, default=1, help="try an honest file on one planned case in so many"
    )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Give what builds gates whose slow stages are pretended; all are closed after the test."""
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()
