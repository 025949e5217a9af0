"""Times kernels that deceive the timing: `python -m benchmarks.attacks [NAME...]`.

Each is timed against the kernel that it is made from, by the gate's own timing and rule, whatever the rule
about names says of it; that one's word is printed beside. No attack may fare better than the honest kernel.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attack_kernels import ATTACKS, Attack
from benchmarks.decision import Decision, compiled, decide, of_fault
from benchmarks.variants import make_variant
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import GpuError, find_gpu
from kernelgate.performance.samples import Arm
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 160


def render(attack: Attack, candidate: KernelFile, decision: Decision) -> str:
    """Return a row of a Markdown table."""
    named = "FORBIDDEN" if find_reaches(candidate) else "passes"
    told = "" if decision.told_gain is None else f"{100 * decision.told_gain:+.2f} %"
    detail = " ".join(decision.detail.split())[:SHOWN].replace("|", "/")
    return f"| {attack.name} | {attack.does} | {named} | {decision.outcome} | {told} | {detail} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 0, or 1 if an attack was called faster or there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    every = {each.name: each for each in ATTACKS}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; default: all of {', '.join(every)}")
    names = parser.parse_args(arguments).names or list(every)
    if unknown := sorted(set(names) - every.keys()):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(every)}")
    settings, kept = load_settings(ROOT / "pyproject.toml"), 0
    print("| attack | what it does | by its names | timed all the same | told gain | what was seen |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        accepted = make_variant(Arm.ACCEPTED, Path(folder))
        try:
            gpu = find_gpu()
            for name in names:
                file = Path(folder) / f"{name}.py"
                file.write_text(every[name].source(accepted.source), encoding="utf-8")
                candidate = read_kernel(file, settings.limits.kernel_file_bytes)
                try:
                    with compiled(gpu, settings, candidate, accepted) as sandbox:
                        decision = decide(sandbox, gpu, settings, candidate, accepted)
                except WorkerFault as fault:
                    decision = of_fault(fault, candidate)
                print(render(every[name], candidate, decision), flush=True)
                kept += decision.outcome is Outcome.KEEP
        except GpuError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
