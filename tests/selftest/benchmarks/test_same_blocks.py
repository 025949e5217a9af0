"""The accepted kernel is timed against the original at the blocks that both have."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import same_blocks
from benchmarks.decision import Decision
from kernelgate.kernel_file.config_list import render_config
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.verdict import Outcome

GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=1024)


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[KernelFile]:
    """Give the kernels that are decided on: candidate, then accepted; the gain is a fifth."""
    kernels: list[KernelFile] = []

    @contextmanager
    def compiled(*_: object) -> Iterator[None]:
        yield

    def decide(*given: Any) -> Decision:
        kernels.extend(given[3:])
        return Decision(outcome=Outcome.KEEP, detail="proven-gain: 20 %", told_gain=0.2)

    monkeypatch.setattr(same_blocks, "find_gpu", lambda: GPU)
    monkeypatch.setattr(same_blocks, "compiled", compiled)
    monkeypatch.setattr(same_blocks, "decide", decide)
    return kernels


def test_the_original_has_the_one_configuration_of_its_blocks(
    decided: list[KernelFile], capsys: pytest.CaptureFixture[str]
) -> None:
    """And the accepted kernel its own; the ratio is of the times."""
    assert same_blocks.main() == 0
    tuned, original = decided
    assert tuned.source == (same_blocks.ROOT / "kernels" / "alexnet_conv1.py").read_text(encoding="utf-8")
    assert original.source.count("triton.Config(") == 1
    assert render_config(ALEXNET_CONV1.original.config) in original.source
    assert capsys.readouterr().out.splitlines() == [
        "KEEP: proven-gain: 20 %",
        "1.250 times as fast as the original at the same blocks",
    ]


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the exit code too."""

    def find_gpu() -> Gpu:
        raise GpuError("no NVIDIA GPU")

    monkeypatch.setattr(same_blocks, "find_gpu", find_gpu)
    assert same_blocks.main() == 1
    assert "benchmarks: no NVIDIA GPU" in capsys.readouterr().err
