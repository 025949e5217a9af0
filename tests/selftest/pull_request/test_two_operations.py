"""A change that edits kernels of two operations at once: each is judged as its own."""

from pathlib import Path

import pytest

from kernelgate.pull_request.change import Change, read_change
from kernelgate.pull_request.judge import JudgeSetup, judge_change
from tests.selftest.support.made_up_gate import make_setup
from tests.selftest.support.made_up_repository import commit, make_repository

MATMUL, SOFTMAX = "kernels/matmul.py", "kernels/softmax_online.py"
FAILS = "dict(verdict='WRONG', passes=False) if content == b'# bad' else {}"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JudgeSetup:
    """Return a setup whose gate says which operation it was asked for; pytest loads no plugins there."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return make_setup(tmp_path / "bench", f"said.update({FAILS}, detail=asked.operation)")


def change_of(repository: Path, files: dict[str, bytes | None]) -> Change:
    make_repository(repository)
    base = commit(repository, {MATMUL: b"# accepted", "README.md": b"text"})
    return read_change(repository, base, commit(repository, files))


def test_each_kernel_is_judged_as_its_own_operation(tmp_path: Path, setup: JudgeSetup) -> None:
    """By one gate, with a report for each; one that fails stops none."""
    change = change_of(tmp_path / "repository", {MATMUL: b"# bad", SOFTMAX: b"# new"})
    judged = judge_change(setup, tmp_path / "repository", change)
    assert [(each.kernel, each.detail, each.passes, each.folder) for each in judged] == [
        (MATMUL, "matmul", False, "matmul"),
        (SOFTMAX, "softmax", True, "softmax_online"),
    ]
    assert not change.guards_all
    assert not change.needs_tests


def test_one_original_among_two_operations_is_refused_alone(tmp_path: Path) -> None:
    """The kernel of the other operation is judged all the same."""
    files = {MATMUL: b"# new", "kernels/softmax_original.py": b"# another"}
    change = change_of(tmp_path / "repository", files)
    assert [(each.path, each.operation) for each in change.kernels] == [(MATMUL, "matmul")]
    assert [why.partition(":")[0] for why in change.refused] == ["kernels/softmax_original.py"]
