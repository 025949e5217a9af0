"""What several tests of workers start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.selftest.support.recorders import Start, Starting, starting_recorders


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a function that starts a worker on a source, and returns it when the file is imported."""
    with starting_recorders(tmp_path) as begin:

        def start_one(source: str) -> Starting:
            sandbox, worker = begin(source)
            sandbox.await_loaded(worker)
            return sandbox, worker

        yield start_one
