"""Records replicates in which every arm stands side by side: `python -m benchmarks.record FILE`.

The arms are those of variants.py, the timing is the gate's own. From the fourth on each replicate is written
as it ends, so that a run that is ended early leaves what it has. A name that ends in .xz is compressed.
"""

import argparse
import lzma
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.variants import EXTRA, make_variant
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import target_at_hand
from kernelgate.machine.gpu import GpuError, find_gpu
from kernelgate.machine.gpu_lock import locked
from kernelgate.machine.versions import describe_environment
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.replicates import measure_replicates
from kernelgate.performance.samples import MeasuredReplicate
from kernelgate.performance.samples_file import Timing, write_samples
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import MAX_REPLICATES, MIN_REPLICATES, load_settings
from kernelgate.verdict import Rule

ROOT = Path(__file__).resolve().parents[1]
DIGITS = 5
"""Of a time in milliseconds: a hundredth of a microsecond, under what an event can tell."""


def record(file: Path, replicates: int) -> None:
    """Write so many replicates of all arms; raises GpuError without a GPU, FileExistsError for the file."""
    if file.exists():
        raise FileExistsError(f"{file} exists: every sitting has a file of its own")
    settings, gpu = load_settings(ROOT / "pyproject.toml"), find_gpu()
    timing = Timing(
        operation=ALEXNET_CONV1.name,
        gpu=gpu,
        rule=Rule.TUNE,
        settings=settings.performance,
        laws=settings.laws,
        environment=describe_environment(gpu.driver),
    )
    written = 0

    def write(so_far: Sequence[MeasuredReplicate]) -> bool:
        nonlocal written
        append(timing, so_far[written:], file)
        written = len(so_far)
        print(f"{written} of {replicates} replicates", file=sys.stderr)
        return False

    every = msgspec.structs.replace(settings.performance, looks=tuple(range(MIN_REPLICATES, replicates + 1)))
    sandbox = Sandbox(ALEXNET_CONV1, settings.limits)
    try:
        with tempfile.TemporaryDirectory() as folder:
            arms = {arm: make_variant(arm, Path(folder)) for arm in EXTRA}
        targets = [target_at_hand(gpu.capability, None)]
        compile_kernels(sandbox, dict.fromkeys({k.sha256: k for k in arms.values()}.values(), targets))
        with locked(gpu):
            measure_replicates(sandbox, arms, gpu, every, write, lambda one: one)
    finally:
        sandbox.close()


def append(timing: Timing, measured: Sequence[MeasuredReplicate], file: Path) -> None:
    """Add replicates to a file of samples, which is begun if it is not there."""
    plain = file.with_name(f".{file.name}.part")
    write_samples(timing, [list(map(_rounded, measured))], plain)
    lines = plain.read_bytes().splitlines(keepends=True)
    plain.unlink()
    new = b"".join(lines[1:] if file.exists() else lines)
    with lzma.open(file, "ab") if file.suffix == ".xz" else file.open("ab") as stream:
        stream.write(new)


def _rounded(measured: MeasuredReplicate) -> MeasuredReplicate:
    samples = tuple(
        msgspec.structs.replace(
            sample,
            times_ms=tuple(round(time_ms, DIGITS) for time_ms in sample.times_ms),
            wall_ms=round(sample.wall_ms, DIGITS),
        )
        for sample in measured.samples
    )
    return msgspec.structs.replace(measured, samples=samples)


def main(arguments: list[str] | None = None) -> int:
    """Record; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="where the samples go; .xz compresses them")
    parser.add_argument("--replicates", type=int, default=20, help="how many; default: %(default)s")
    options = parser.parse_args(arguments)
    if not MIN_REPLICATES <= options.replicates <= MAX_REPLICATES:
        parser.error(
            f"--replicates {options.replicates}: allowed {MIN_REPLICATES} to {MAX_REPLICATES} in one file"
        )
    try:
        record(options.file, options.replicates)
    except (GpuError, OSError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
