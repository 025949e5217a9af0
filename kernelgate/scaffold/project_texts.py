"""What a project of one's own begins with: a small problem, a kernel for it, and what judges it."""

from kernelgate import __version__

TABLE = """\

# Problems of this project, by the names that kernel files in kernels/ begin with. Other keys of kernelgate's
# settings.toml may be set here too.
[tool.kernelgate.problems]
@NAME@ = "problems/@NAME@.py"
"""

PROBLEM = '''\
"""What kernels called @NAME@ compute, in KernelBench's form. It is trusted: the judge imports it."""

import torch
from torch import nn


class Model(nn.Module):
    """Divides each row by its root mean square."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x [N, 1024], scaled."""
        return x / torch.sqrt((x * x).mean(dim=1, keepdim=True) + 1e-6)


def get_inputs() -> list[torch.Tensor]:
    """Return arguments of forward; N is what may be other."""
    return [torch.rand(4096, 1024)]


def get_init_inputs() -> list[object]:
    """Return arguments of Model."""
    return []
'''

KERNEL = '''\
"""The kernel to beat, once it is committed: a program takes a row."""

import torch
import triton
import triton.language as tl
from torch import nn


@triton.jit
def rms_kernel(x_ptr, out_ptr, width, BLOCK: tl.constexpr):
    """Store one row, scaled; BLOCK is a power of two that holds it."""
    column = tl.arange(0, BLOCK)
    inside = column < width
    offset = tl.program_id(0) * width + column
    x = tl.load(x_ptr + offset, mask=inside, other=0.0)
    scale = 1.0 / tl.sqrt(tl.sum(x * x, axis=0) / width + 1e-6)
    tl.store(out_ptr + offset, x * scale, mask=inside)


class ModelNew(nn.Module):
    """Takes what Model of the problem takes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x [N, 1024], scaled."""
        x = x.contiguous()
        rows, width = x.shape
        out = torch.empty_like(x)
        rms_kernel[(rows,)](x, out, width, BLOCK=triton.next_power_of_2(width))
        return out
'''

GATE = '''\
"""The gate: each stage of the judgement of one kernel file, which `--kernelgate-candidate FILE` names."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("stage", ["format", "compile", "stage-rules", "correctness"])
def test_the_kernel_passes(stage: str, assert_passed: Callable[[str], None]) -> None:
    """A stage that does not pass is told with its reason; those after it do not run."""
    assert_passed(stage)


@pytest.mark.perf
def test_its_speed_passes(assert_passed: Callable[[str], None]) -> None:
    """A proven gain, or for the accepted kernel no loss: `pytest -m perf`, on a machine with a GPU."""
    assert_passed("performance")
'''

WORKFLOW = """\
# Judges the kernels that a pull request changes, without a GPU. The base commit's problems, settings and
# kernels decide: of the change only the proposed kernels are read.
name: kernelgate

on:
  pull_request:

permissions: {}

concurrency:
  group: kernelgate-${{ github.event.pull_request.number }}
  cancel-in-progress: true

env:
  # What pip installs: a release, or where you keep the wheel.
  KERNELGATE: kernelgate==@VERSION@

jobs:
  judge:
    name: judge
    runs-on: ubuntu-24.04
    timeout-minutes: 60
    permissions:
      contents: read
    steps:
      - name: Check out the change
        uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          fetch-depth: 0
          persist-credentials: false
      - name: Check out its base
        run: git worktree add --quiet --detach "$RUNNER_TEMP/base" "$BASE"
        env:
          BASE: ${{ github.event.pull_request.base.sha }}
      - name: Install kernelgate
        run: |
          python3 -m venv "$RUNNER_TEMP/environment"
          "$RUNNER_TEMP/environment/bin/python" -m pip install --quiet "$KERNELGATE"
      - name: Judge the changed kernels
        id: judge
        run: |
          cd "$RUNNER_TEMP/base"
          "$RUNNER_TEMP/environment/bin/kernelgate" judge-change \\
            --repository "$GITHUB_WORKSPACE" --reports "$RUNNER_TEMP/reports/changed"
      - name: Judge the accepted kernels anew, if more than kernels changed
        if: steps.judge.outputs.guard == 'true'
        run: |
          "$RUNNER_TEMP/environment/bin/kernelgate" guard --reports "$RUNNER_TEMP/reports/guarded"
      - name: Keep the reports
        if: ${{ !cancelled() && steps.judge.conclusion != 'skipped' }}
        uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a # v7.0.1
        with:
          name: reports
          path: ${{ runner.temp }}/reports
          if-no-files-found: error
""".replace("@VERSION@", __version__)

ACTRC = """\
# act (https://github.com/nektos/act) runs the workflow with these options: on this machine, in no container.
-P ubuntu-24.04=-self-hosted
"""

IGNORED = """\
# What kernelgate judge writes.
gate-report/
.hypothesis/
"""
