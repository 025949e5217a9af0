"""Triton's tests are run as they are, and what they assert of interpreted launches is counted."""

from pathlib import Path

import pytest

from benchmarks import language_tests
from benchmarks.language_plugin import OUTCOMES, Judged, judge
from kernelgate.interpreter.errors import CannotInterpretError

CONFTEST = """
import pytest
def pytest_addoption(parser):
    parser.addoption("--device", default="cuda")
@pytest.fixture
def device(request):
    return request.config.getoption("--device")
"""
TESTS = """
import pytest, torch, triton
import triton.language as tl

@triton.jit
def double(x, out, BLOCK: tl.constexpr):
    place = tl.arange(0, BLOCK)
    tl.store(out + place, 2 * tl.load(x + place))

@triton.jit
def add_by_ptx(x, out, BLOCK: tl.constexpr):
    place = tl.arange(0, BLOCK)
    x = tl.load(x + place)
    tl.store(out + place, tl.inline_asm_elementwise("add.f32 $0, $1, $1;", "=r,r", [x], tl.float32, True, 1))

def launch(kernel, device, programs=1):
    x, out = torch.arange(16, dtype=torch.float32, device=device), torch.zeros(16, device=device)
    return kernel[(programs,)](x, out, BLOCK=16), x, out

@pytest.mark.parametrize("case", range(6))
def test_right(case, device):
    _, x, out = launch(double, device)
    assert out.tolist() == [2 * each for each in x.tolist()]

def test_wrong(device):
    _, x, out = launch(double, device)
    assert out.tolist() == x.tolist()

def test_findings(device):
    launch(double, device, programs=2)

def test_ptx(device):
    launch(add_by_ptx, device)

def test_machine_code(device):
    compiled, _, _ = launch(double, device)
    assert "ld.global" in compiled.asm["ptx"]

def test_nothing(device):
    assert device == "cuda"

def test_fails_without_a_launch():
    raise AssertionError

def test_skipped():
    assert torch.cuda.get_device_capability() == (8, 9)
    pytest.skip("for another GPU")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tests where Triton has its own."""
    folder = tmp_path_factory.mktemp("checkout")
    tests = folder / "python" / "test" / "unit" / "language"
    tests.mkdir(parents=True)
    (folder / "python" / "test" / "conftest.py").write_text(CONFTEST)
    (tests / "test_made_up.py").write_text(TESTS)
    (tests / "test_frontend.py").write_text("def test_of_the_compiler():\n    pass\n")
    return folder


def counts_of(line: str) -> dict[str, int]:
    """Return the counts of a row that are not 0."""
    cells = [each.strip() for each in line.strip("|").split("|")]
    return {name: int(cell) for name, cell in zip(OUTCOMES, cells[2:], strict=True) if cell != "0"}


def test_each_outcome_is_counted(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a wrong answer is the run's."""
    assert language_tests.main([str(checkout), "--workers", "0", "--one-of", "2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| test_made_up | 10 |")
    assert lines[3].startswith("| all | 10 |")
    once = ("wrong", "with-findings", "not-interpreted", "machine-code", "skipped")
    assert counts_of(lines[2]) == {"right": 3, "not-judged": 2} | dict.fromkeys(once, 1)
    told = "\n".join(lines[4:])
    assert "wrong, 1: test_wrong: AssertionError" in told
    assert "with-findings, 1: test_findings: same-value" in told
    assert "not-interpreted, 1: test_ptx: tt.elementwise_inline_asm `add.f32 $0 $1 $1`" in told


def test_tritons_interpreter_is_judged_by_the_same_tests(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it cannot run, it is not judged by."""
    language_tests.main([str(checkout), "--workers", "0", "--one-of", "9", "--judge-by", "triton"])
    found = counts_of(capsys.readouterr().out.splitlines()[2])
    assert (found["right"], found["wrong"]) == (2, 1)


def test_a_broken_interpreter_is_wrong_and_a_run_without_answers_no_success(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error of the test's own says nothing of answers."""
    broken = type("InterpreterFaultError", (Exception,), {})
    assert judge(broken("KeyError"), [])[0] == "wrong"
    assert judge(CannotInterpretError("tt.frob"), [])[0] == "not-interpreted"
    assert judge(ValueError("of the test"), [frozenset()])[0] == "not-judged"
    unjudged = [Judged(test="test_a.py::test_b", outcome="not-judged")]
    monkeypatch.setattr(language_tests, "run_tests", lambda *_: unjudged)
    assert language_tests.main([str(tmp_path)]) == 1
