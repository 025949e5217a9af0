"""Which kernel has to be beaten, and how a record takes its place."""

import subprocess
from pathlib import Path

import msgspec
import pytest

from kernelgate.baselines.kernels import AcceptedError, find_accepted, find_original, kernel_path
from kernelgate.baselines.records import CompileRecord
from kernelgate.baselines.store import load_compile, propose, record_path
from kernelgate.cli.main import main
from kernelgate.kernel_file.source import read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.settings import load_settings

ROOT = Path(__file__).parents[3]
MAX_BYTES = load_settings(ROOT / "pyproject.toml").limits.kernel_file_bytes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a checkout whose last commit holds one accepted kernel, and whose folder holds another."""
    file = tmp_path / kernel_path(ALEXNET_CONV1.name)
    file.parent.mkdir()
    file.write_text("# committed\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    file.write_text("# edited\n")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *name, *words], check=True, timeout=30)


def test_the_accepted_kernel_is_that_of_the_last_commit(project: Path) -> None:
    """An edit that is not committed yet must beat what was, not itself."""
    assert find_accepted(project, ALEXNET_CONV1, None, MAX_BYTES).source == "# committed\n"


def test_a_revision_or_a_file_may_be_named(project: Path, tmp_path: Path) -> None:
    """--accepted takes either."""
    assert find_accepted(project, ALEXNET_CONV1, "HEAD", MAX_BYTES).source == "# committed\n"
    other = tmp_path / "other.py"
    other.write_text("# other\n")
    assert find_accepted(project, ALEXNET_CONV1, str(other), MAX_BYTES).source == "# other\n"


def test_outside_a_checkout_the_file_as_it_lies_is_accepted(tmp_path: Path) -> None:
    """A copy of the tree without its history can be judged too."""
    file = tmp_path / kernel_path(ALEXNET_CONV1.name)
    file.parent.mkdir()
    file.write_text("# as it lies\n")
    assert find_accepted(tmp_path, ALEXNET_CONV1, None, MAX_BYTES).source == "# as it lies\n"


@pytest.mark.parametrize("where", ["nowhere", "--help", "-1", "HEAD:kernels", ""])
def test_what_is_neither_file_nor_revision_is_refused(project: Path, where: str) -> None:
    """Nor is it ever an option of git."""
    with pytest.raises(AcceptedError):
        find_accepted(project, ALEXNET_CONV1, where, MAX_BYTES)


def test_an_original_with_other_bytes_is_refused(tmp_path: Path) -> None:
    """It is the control of every timing."""
    (tmp_path / "kernels").mkdir()
    file = tmp_path / "kernels" / "alexnet_conv1_original.py"
    frozen = (ROOT / "kernels" / "alexnet_conv1_original.py").read_text()
    file.write_text(frozen)
    assert find_original(tmp_path, ALEXNET_CONV1, MAX_BYTES).source == frozen
    file.write_text(frozen + "\n")
    with pytest.raises(AcceptedError, match="must never change"):
        find_original(tmp_path, ALEXNET_CONV1, MAX_BYTES)


def stored_compile() -> CompileRecord:
    """Return the record as it is stored: of the accepted kernel, or until it is renewed of the one before."""
    path = record_path(ROOT, "alexnet_conv1", "sm_89")
    return load_compile(path, operation="alexnet_conv1", target="sm_89")


def test_the_stored_compile_record_can_be_read() -> None:
    """And says since when it holds."""
    assert stored_compile().history


@pytest.fixture
def accepting(tmp_path: Path) -> Path:
    """Return a project folder with the accepted kernel, settings, and a proposal of its compile."""
    for name in ("pyproject.toml", "kernels/alexnet_conv1.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    sha256 = read_kernel(ROOT / kernel_path(ALEXNET_CONV1.name), MAX_BYTES).sha256
    propose(msgspec.structs.replace(stored_compile(), kernel_sha256=sha256), tmp_path)
    return tmp_path


def test_accept_puts_a_proposal_in_place_with_its_reason(
    accepting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says where it went."""
    words = ["accept", str(accepting / "compile.proposed.json"), "--root", str(accepting)]
    assert main([*words, "--reason", "first"]) == 0
    path = record_path(accepting, "alexnet_conv1", "sm_89")
    assert str(path) in capsys.readouterr().out
    assert load_compile(path, operation="alexnet_conv1", target="sm_89").history[-1].reason == "first"


def test_accept_refuses_a_proposal_of_another_kernel_file(
    accepting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record must be of what lies in kernels/, and nothing is written."""
    (accepting / kernel_path(ALEXNET_CONV1.name)).write_text("# another\n")
    words = ["accept", str(accepting / "compile.proposed.json"), "--root", str(accepting)]
    assert main([*words, "--reason", "first"]) == 1
    assert "stale" in capsys.readouterr().err
    assert not record_path(accepting, "alexnet_conv1", "sm_89").exists()


def test_accept_names_a_missing_proposal(accepting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard error, no traceback."""
    assert main(["accept", str(accepting / "none.json"), "--root", str(accepting), "--reason", "x"]) == 1
    assert "none.json: missing" in capsys.readouterr().err
