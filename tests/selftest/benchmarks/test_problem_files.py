"""The benchmark of problem files: each file of a folder gets a line, and the ends are counted."""

from pathlib import Path

import pytest

from benchmarks.problem_files import main

PROBLEM = """
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)

def get_inputs():
    return [torch.rand(8, 16)]

def get_init_inputs():
    return []
"""


def test_every_file_of_a_folder_is_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of their numbers; one that is no problem has its reason."""
    (tmp_path / "10_relu.py").write_text(PROBLEM)
    (tmp_path / "2_broken.py").write_text(PROBLEM.replace("torch.relu(x)", "undefined"))
    assert main([str(tmp_path), "--seconds", "60"]) == 0
    broken, relu, *counted = capsys.readouterr().out.splitlines()
    assert broken.startswith("2_broken.py: problem-raises, ")
    assert relu.startswith("10_relu.py: N is free, x [N, 16] -> [N, 16], float32, N up to 8")
    assert {"| N is free | 1 |", "| problem-raises | 1 |"} <= set(counted)
