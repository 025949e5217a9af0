"""The versions that a result depends on, as they are installed and as PyTorch itself tells them."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from kernelgate.machine.versions import describe_environment, describe_installation

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_installed_is_what_pytorch_says_of_itself() -> None:
    """With the build of PyTorch and the cuDNN that it loads, each in the same words."""
    assert describe_installation() == describe_environment()


def test_the_driver_is_known_where_a_gpu_is() -> None:
    """It is the only field that the caller gives."""
    assert describe_environment("590.1").driver == "590.1"
    assert describe_installation().driver == "unknown"


def test_a_pytorch_without_its_cudnn_package_has_none_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another build may hold one, and only PyTorch could tell which."""
    ask = importlib.metadata.version

    def version(name: str) -> str:
        if name.startswith("nvidia-cudnn"):
            raise importlib.metadata.PackageNotFoundError(name)
        return ask(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert describe_installation().cudnn == "unknown"
    assert describe_installation().triton == describe_environment().triton


def test_what_is_installed_is_told_without_loading_it() -> None:
    """PyTorch takes seconds to import."""
    program = "import sys, kernelgate.machine.versions as v; v.describe_installation(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "kernelgate.machine.versions" in done.stdout.split()
    assert "torch" not in done.stdout.split()
