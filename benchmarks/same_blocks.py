"""Times the accepted kernel against the original at the same blocks: `python -m benchmarks.same_blocks`.

The stage of micro-tuning keeps the original's blocks and may change the rest, so this is what it was worth:
the original is left the one configuration of those blocks, the accepted kernel chooses among its own.
"""

import sys
from pathlib import Path

from benchmarks.decision import Decision, compiled, decide
from kernelgate.baselines.kernels import find_original
from kernelgate.kernel_file.config_list import with_configs
from kernelgate.kernel_file.source import read_kernel
from kernelgate.machine.gpu import GpuError, find_gpu
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]


def compare() -> Decision:
    """Return the gate's decision, with the original in the accepted kernel's place.

    Raises GpuError without a GPU, WorkerFault for a kernel that does not compile.
    """
    settings, gpu = load_settings(ROOT / "pyproject.toml"), find_gpu()
    max_bytes = settings.limits.kernel_file_bytes
    tuned = read_kernel(ROOT / "kernels" / f"{ALEXNET_CONV1.name}.py", max_bytes)
    original = find_original(ROOT, ALEXNET_CONV1, max_bytes)
    original = with_configs(original, (ALEXNET_CONV1.original.config,))
    with compiled(gpu, settings, tuned, original) as sandbox:
        return decide(sandbox, gpu, settings, tuned, original)


def main() -> int:
    """Print the decision and how many times as fast the accepted kernel is; 0, or 1 without a GPU."""
    try:
        decision = compare()
    except GpuError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(f"{decision.outcome}: {decision.detail}")
    if decision.told_gain is not None:
        print(f"{1 / (1 - decision.told_gain):.3f} times as fast as the original at the same blocks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
