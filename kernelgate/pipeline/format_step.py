"""Stage `format`: the file is read, and has the form that its tuning stage asks for."""

from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.open_form import check_open_form
from kernelgate.kernel_file.reach import LOOKS, find_reaches, refused
from kernelgate.kernel_file.source import read_kernel
from kernelgate.next_steps import STRICT_FORM
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import forbid
from kernelgate.pipeline.stage import Result
from kernelgate.sandbox.fork_server import prepare
from kernelgate.settings import Stage

OPEN: Stage = "open"

UNBOUND = "without a GPU nothing holds the file to its launch plan; on a machine with one this is advice"


def follow_format(judgement: Judgement) -> tuple[str, Result]:
    """Return that the file has its form; raises Stopped, UnreadableKernel or ProblemError.

    It leaves `candidate`, and in the open form `advice`: where the file could reach its recorder.
    """
    kernel = read_kernel(judgement.request.candidate, judgement.settings.limits.kernel_file_bytes)
    judgement.candidate = kernel
    judgement.read_problem()
    is_open = judgement.request.stage == OPEN
    check = check_open_form if is_open else check_format
    if broken := check(kernel, judgement.operation):
        stop = forbid("format", kernel.path, broken)
        raise stop if is_open or check_open_form(kernel, judgement.operation) else stop.advising(STRICT_FORM)
    prepare("record")  # its imports take as long as those of the next check, and have a core of their own
    reaches = find_reaches(kernel)
    if not is_open and reaches:
        raise forbid("format", kernel.path, reaches)
    judgement.advice = reaches
    return f"{kernel.path} has the {'open' if is_open else 'strict'} form", None


def refuse_unbound(judgement: Judgement) -> None:
    """Raise Stopped for a file that looks at who calls it, or could reach its recorder where there is no GPU.

    With one it is called where nothing is watched, and must give its plan's bits.
    """
    is_bound = judgement.request.gpu is not None
    if broken := refused(judgement.advice, is_bound=is_bound):
        judgement.advice = ()
        why = "" if broken[0].rule == LOOKS else UNBOUND
        raise forbid("format", judgement.kernel.path, broken, why)
