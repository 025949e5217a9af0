"""What is asked of the gate, and how each of its stages ended."""

from pathlib import Path
from typing import Literal

import msgspec

from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.case import Case
from kernelgate.correctness.result import Correctness
from kernelgate.kernel_file.source import KernelFile
from kernelgate.kernel_file.violation import Violation
from kernelgate.machine.gpu import Gpu
from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.declaration.operation import Algorithm
from kernelgate.performance.result import Performance
from kernelgate.verdict import Rule, Verdict

StageName = Literal["format", "compile", "stage-rules", "correctness", "performance"]
ORDER: tuple[StageName, ...] = ("format", "compile", "stage-rules", "correctness", "performance")
Result = CompileResult | Correctness | Performance | tuple[Violation, ...] | None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller asks to be judged; `gpu` is the one at hand, `measure` asks for its timing.

    `root` is the folder of a project: its kernels/ hold the accepted ones, its baselines/ their records.
    Without one a candidate is held against the `accepted` file, or what PyTorch takes.
    `gpus` are all that correctness may be tried on, as CUDA_VISIBLE_DEVICES names them, `workers` the most
    interpreters side by side, `entropy` what seeds every draw. With `ada_path` the GPU runs what an RTX 4090
    would be asked to run. `plans` is the plan book to judge by, instead of running the file; `keep_plans` the
    folder that such a book is written into. `algorithm` says whose laws hold. A `problem` file says what is
    computed, in place of the operation's name, and `math` in what arithmetic at least. `accepted_name` is
    what a project calls the kernel to beat where it keeps no originals; a problem's records go by it.
    `to_beat` is that kernel itself, where it has been read already.
    """

    root: Path | None
    candidate: Path
    operation: str
    accepted: str | None
    stage: str
    rule: Rule | None
    report_dir: Path
    gpu: Gpu | None
    measure: bool
    replay: Case | None
    gpus: tuple[str, ...] = ()
    workers: int | None = None
    entropy: int | None = None
    ada_path: bool = False
    plans: Path | None = None
    keep_plans: Path | None = None
    algorithm: Algorithm = "direct"
    problem: Path | None = None
    accepted_name: str | None = None
    math: Math | None = None
    to_beat: KernelFile | None = None


class StageResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one stage ended, in a sentence; `result` is the stage's own record."""

    status: Literal["passed", "failed", "not-run", "not-needed"]
    detail: str
    seconds: float = 0.0
    result: Result = None


class Stopped(Exception):  # noqa: N818 - a stage's answer, carried past the rest of it
    """A stage failed, with the verdict that follows from it."""

    def __init__(self, verdict: Verdict, result: Result = None) -> None:
        super().__init__(verdict.detail)
        self.verdict, self.result = verdict, result

    def advising(self, next_step: str) -> "Stopped":
        """Return the same end with this next step."""
        return Stopped(msgspec.structs.replace(self.verdict, next_step=next_step), self.result)
