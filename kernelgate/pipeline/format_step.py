"""Stage `format`: the file is read, and has the form that its tuning stage asks for."""

from kernelgate.kernel_file.allowed_names import check_names, check_names_as_written
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.open_form import check_open_form
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.kernel_file.violation import Violation
from kernelgate.operations.declaration.operation import Operation
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import forbid
from kernelgate.pipeline.stage import Result
from kernelgate.sandbox.fork_server import prepare
from kernelgate.settings import Stage

OPEN: Stage = "open"

UNBOUND = "without a GPU nothing holds the file to its launch plan; on a machine with one this is advice"


def follow_format(judgement: Judgement) -> tuple[str, Result]:
    """Return that the file has its form; raises Stopped or UnreadableKernel.

    It leaves `candidate`, and in the open form `advice`: where the file could reach its recorder.
    """
    kernel = read_kernel(judgement.request.candidate, judgement.settings.limits.kernel_file_bytes)
    judgement.candidate = kernel
    is_open = judgement.request.stage == OPEN
    if broken := _check_form(kernel, judgement.operation, is_open=is_open):
        raise forbid("format", kernel.path, broken)
    prepare("record")  # its imports take as long as those of the next check, and have a core of their own
    if is_open:
        judgement.advice = find_reaches(kernel)
    elif broken := check_names(kernel):
        raise forbid("format", kernel.path, broken)
    return f"{kernel.path} has the {'open' if is_open else 'strict'} form", None


def _check_form(kernel: KernelFile, operation: Operation, *, is_open: bool) -> tuple[Violation, ...]:
    """Return every broken rule that the text alone shows; what it names is looked at once the rest holds."""
    if is_open:
        return check_open_form(kernel, operation)
    return check_format(kernel, operation) or check_names_as_written(kernel)


def refuse_unbound(judgement: Judgement) -> None:
    """Raise Stopped for a file that could reach its recorder where there is no GPU to call it on.

    With one it is called where nothing is watched, and must give its plan's bits.
    """
    if judgement.request.gpu is None and judgement.advice:
        reaches, judgement.advice = judgement.advice, ()
        raise forbid("format", judgement.kernel.path, reaches, UNBOUND)
