"""Fixtures of several test files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.selftest.support.pretended_gate import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Give what builds gates whose slow stages are pretended; all are closed after the test."""
    made = Bench(tmp_path, monkeypatch)
    yield made
    made.close()
