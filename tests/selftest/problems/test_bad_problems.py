"""What a problem file may not hold: each is refused by name, and the verdict is INVALID, never WRONG."""

from pathlib import Path

import pytest

from kernelgate.operations.problem.examine import examine
from kernelgate.operations.problem.order import ExaminationOrder, read_problem
from kernelgate.operations.problem.problem import ProblemError
from kernelgate.verdict import Outcome, Reason
from tests.selftest.problems.test_judged import judge
from tests.selftest.problems.written import WRITTEN, problem

GIB = 2**30
BUFFER = "self.register_buffer('noise', torch.randn(300))"
COUNTS = "self.calls = 0"
LARGE = "torch.rand(200_000, 200_000)"
INTEGERS = "torch.randint(0, 9, (8, 300))"

BAD: dict[str, tuple[str, str, str]] = {
    "no Model": (problem("x").replace("class Model", "class Other"), "form", "has no Model"),
    "init inputs that are no literals": (
        problem("x", sizes="torch.device('cpu')"),
        "form",
        "get_init_inputs",
    ),
    "a Model that is no module": (problem("x").replace("(nn.Module)", ""), "form", "is a Model"),
    "not Python": ("def", "raises", "SyntaxError"),
    "raises when it is imported": ("1 / 0", "raises", "ZeroDivisionError"),
    "exits": ("raise SystemExit", "raises", "SystemExit"),
    "a Model that raises": (problem("x", init="1 / 0"), "raises", "Model(*get_init_inputs())"),
    "inputs that raise": (problem("x", "1 / 0"), "raises", "get_inputs raises ZeroDivisionError"),
    "shapes that do not fit": (problem("x @ x"), "raises", "forward of shapes [[8, 300]]"),
    "random": (problem("x + torch.rand(())"), "not-a-function", "random"),
    "dropout": (problem("F.dropout(x)"), "not-a-function", "random"),
    "state": (
        problem("x + self.count()", init=COUNTS).replace(
            "    def forward",
            """
    def count(self):
        self.calls += 1
        return self.calls

    def forward""",
        ),
        "not-a-function",
        "state",
    ),
    "a random buffer": (problem("x + self.noise", init=BUFFER), "not-a-function", "no parameter"),
    "other shapes at each call": (
        problem("x", "torch.rand(8, next(sizes))") + "\nsizes = iter(range(1, 9))\n",
        "shapes",
        "a second call",
    ),
    "an empty tensor": (problem("x", "torch.rand(0, 3)"), "shapes", "no empty"),
    "an empty answer": (problem("x[:0]"), "shapes", "no empty"),
    "no tensors in": (problem("torch.ones(3)", "", arguments=""), "tensors", "gives nothing"),
    "a number": (problem("x", "3.0"), "tensors", "is a float"),
    "no tensor out": (problem("3.0"), "tensors", "the output is a float"),
    "a tensor for a list of them": (
        problem("x").replace("def get_inputs", "def _inputs")
        + "\n\ndef get_inputs():\n    return _inputs()[0]\n",
        "tensors",
        "gives a Tensor; allowed a list",
    ),
    "two outputs": (problem("(x, x)"), "tensors", "returns a tuple of 2"),
    "two outputs that have names": (problem("torch.max(x, dim=1)"), "tensors", "returns a max of 2"),
    "integers": (problem("x", INTEGERS), "type", "int64"),
    "truth values": (problem("x", "torch.rand(8, 300) > 0.5"), "type", "bool"),
    "complex": (problem("x", "torch.rand(8, 300) + 0j"), "type", "complex64"),
    "half precision": (problem("x", "torch.rand(8, 300).half()"), "type", "float16"),
    "integers out": (problem("torch.argmax(x, dim=1)"), "type", "the output is int64"),
    "half precision whatever it gets": (
        problem("(x.half() if x.is_cpu else x).to(torch.float32)"),
        "type",
        "to float64 tensors",
    ),
    "a complex parameter": (
        problem("x", init="self.w = nn.Parameter(torch.rand(3) + 0j)"),
        "type",
        "parameter w is complex64",
    ),
    "too large": (problem("torch.sum(x)", LARGE), "memory", "GiB, allowed 16"),
    "no numbers": (problem("torch.log(-torch.abs(x) - 1)"), "values", "far from"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_no_problem_may_hold_is_refused_by_name(tmp_path: Path, what: str) -> None:
    """The text says which."""
    text, kind, says = BAD[what]
    file = tmp_path / "problem.py"
    file.write_text(text)
    with pytest.raises(ProblemError) as raised:
        examine(file, None, 16 * GIB)
    assert raised.value.kind == kind
    assert says in raised.value.detail


def test_each_kind_is_a_reason_of_an_invalid_verdict() -> None:
    """None of them blames the candidate."""
    kinds = {kind for _, kind, _ in BAD.values()} | {"no-answer"}
    assert {Reason.of(f"problem-{kind}").outcome for kind in kinds} == {Outcome.INVALID}
    assert {f"problem-{kind}" for kind in kinds} == {each for each in Reason if each.startswith("problem-")}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("while True:\n    pass\n", "no-answer"),
        ("import torch\nkept = torch.ones(2**30)\n", "memory"),
        ("import os\nos.abort()\n", "raises"),
        ("import os\nos._exit(0)\n", "raises"),
    ],
)
def test_a_file_that_takes_too_much_ends_nothing_but_itself(tmp_path: Path, text: str, kind: str) -> None:
    """It is looked at in a process of its own."""
    file = tmp_path / "problem.py"
    file.write_text(text + problem("x"))
    seconds = 20 if kind == "no-answer" else 200
    with pytest.raises(ProblemError) as raised:
        read_problem(ExaminationOrder(file=str(file), memory_bytes=2 * GIB, seconds=seconds))
    assert raised.value.kind == kind


def test_a_bad_problem_is_the_verdict(tmp_path: Path) -> None:
    """Before anything of the candidate runs."""
    verdict = judge(tmp_path, problem("F.dropout(x)"), WRITTEN["relu"].kernel)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, Reason.PROBLEM_NOT_A_FUNCTION)


def test_a_missing_problem_is_told(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(ProblemError, match=r"nothing\.py: cannot be read"):
        examine(tmp_path / "nothing.py", None, GIB)
