"""What an operation is that a problem file declares, and who is told where the file lies."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from kernelgate import protocol
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations import find_operation
from kernelgate.operations.problem.examine import examine
from kernelgate.operations.problem.problem import Problem, ProblemError
from kernelgate.operations.truth.truth import truth_everywhere, vendor_answer
from kernelgate.sandbox.sandbox import Sandbox
from tests.selftest.problems.test_judged import SETTINGS
from tests.selftest.problems.written import WRITTEN, problem

GIB = 2**30


def read(folder: Path, text: str) -> Problem:
    """Return what a problem given as text declares."""
    file = folder / "problem.py"
    file.write_text(text)
    return examine(file, None, GIB)


@pytest.mark.parametrize(
    ("text", "inputs", "output", "measured", "rows"),
    [
        (problem("torch.relu(x)"), [("N", 300)], ("N", 300), 8, ("x",)),
        (WRITTEN["matmul"].problem, [("N", 64), (64, 64)], ("N", 64), 64, ("a",)),
        (WRITTEN["matmul-transposed"].problem, [("N", 70), (50, 70)], ("N", 50), 40, ("a",)),
        (WRITTEN["batched-matmul"].problem, [("N", 40, 70), ("N", 70, 50)], ("N", 40, 50), 6, ("a", "b")),
        (WRITTEN["mean-squared-error"].problem, [(8, 300), (8, 300)], (), 1, ()),
        (problem("x / torch.norm(x)"), [("N", 300)], ("N", 300), 8, ()),
        (
            problem("x[:, None] * b", "torch.rand(9), torch.rand(9, 4)", arguments="x, b"),
            [("N",), ("N", 4)],
            ("N", 4),
            9,
            ("x", "b"),
        ),
        (problem("x.T @ x", "torch.rand(8, 8)"), [(8, 8)], (8, 8), 1, ()),
    ],
)
def test_n_is_the_first_axis_where_the_reference_takes_any(
    tmp_path: Path,
    text: str,
    inputs: list[Any],
    output: tuple[Any, ...],
    measured: int,
    rows: tuple[str, ...],
) -> None:
    """And items are computed in parts only where each is found to need no other."""
    found = read(tmp_path, text)
    assert [each.shape for each in found.inputs] == inputs
    assert (found.output, found.measured, found.rows) == (output, measured, rows)


@pytest.mark.parametrize(
    ("computes", "init", "math"),
    [
        ("torch.relu(x)", "pass", "float32"),
        ("self.layer(x)", "self.layer = nn.Linear(300, 2)", "tf32"),
        ("torch.einsum('ni,nj->ij', x, x)", "pass", "tf32"),
        ("self.layer(x[None])", "self.layer = nn.Conv1d(8, 2, 3)", "tf32"),
    ],
)
def test_math_is_tf32_where_pytorch_may_form_products_in_it(
    tmp_path: Path, computes: str, init: str, math: str
) -> None:
    """Whether by a module or by a call."""
    assert read(tmp_path, problem(computes, init=init)).math == math


def test_the_truth_is_the_model_in_float64(tmp_path: Path) -> None:
    """With the parameters and the inputs that it is given; PyTorch's own answer is the same in float32."""
    text = problem("self.layer(x)", init="self.layer = nn.Linear(sizes[0], 5)", sizes="300")
    operation = find_operation(read(tmp_path, text))
    tensors = {each.name: torch.rand(each.shape_at(4)) for each in operation.arguments}
    x, weight, bias = (each.double() for each in tensors.values())
    exact = truth_everywhere(operation, tensors).exact
    assert torch.allclose(exact, x @ weight.T + bias, rtol=1e-12)
    assert vendor_answer(operation, tensors).dtype == torch.float32
    assert operation.model_inputs == (300,)


def test_a_call_leaves_no_state_in_buffers(tmp_path: Path) -> None:
    """Batch statistics are a function of the tensors; in eval mode the answer is another, never asked."""
    found = read(tmp_path, problem("self.norm(x)", init="self.norm = nn.BatchNorm1d(300)"))
    assert not found.same_in_eval
    operation = find_operation(found)
    tensors = {each.name: torch.rand(each.shape_at(4)) for each in operation.arguments}
    first, second = (truth_everywhere(operation, tensors).exact for _ in range(2))
    assert torch.equal(first, second)


def test_values_that_float32_has_no_answer_to_are_left_out(tmp_path: Path) -> None:
    """Fourth powers of huge ones overflow; NaN where float64 has none is no fault of the kernel."""
    found = read(tmp_path, problem("torch.sum(x ** 4, dim=1, keepdim=True)"))
    assert "huge" in found.without
    assert "normal" not in found.without


class SentTo:
    """A worker that is never started: it notes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def send(self, request: protocol.Request) -> None:
        self.told.append(request)


def test_only_the_vendors_process_is_told_where_the_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that runs a candidate, or its plans, gets shapes and names; its reference answers nothing."""
    operation = find_operation(read(tmp_path, problem("torch.relu(x)")))
    sandbox, worker = Sandbox(operation, SETTINGS.limits), SentTo()
    monkeypatch.setattr(Sandbox, "_start", lambda *_: worker)
    try:
        kernel = KernelFile(path="k.py", sha256="0" * 64, source="")
        for mode in ("record", "use"):
            sandbox.start(mode, kernel)  # type: ignore[arg-type]
        sandbox.start_executor("interpret")
        sandbox.start_arm((), "candidate")
        sandbox.start_arm(None, "vendor")
    finally:
        sandbox.close()
    told = [msgspec.json.decode(protocol.encode(each)) for each in worker.told]
    *candidates, vendor = [each["operation"]["file"] for each in told]
    assert candidates == [""] * 4
    assert vendor == str(tmp_path / "problem.py")
    blind = find_operation(protocol.decode_request(protocol.encode(worker.told[0])).operation)  # type: ignore[union-attr]
    with pytest.raises(ProblemError, match="imports no problem file"):
        vendor_answer(blind, {"x": torch.rand(2, 300)})


def test_a_file_that_changes_while_it_is_judged_by_is_refused(tmp_path: Path) -> None:
    """What was looked at is what answers."""
    operation = find_operation(read(tmp_path, problem("torch.relu(x)")))
    (tmp_path / "problem.py").write_text(problem("x"))
    with pytest.raises(ProblemError, match="has changed"):
        vendor_answer(operation, {"x": torch.rand(2, 300)})
