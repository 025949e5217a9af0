"""Stage `format`: the file is read, follows the format and names nothing outside its libraries."""

from kernelgate.kernel_file.allowed_names import check_names, check_names_as_written
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.source import read_kernel
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import forbid
from kernelgate.pipeline.stage import Result
from kernelgate.sandbox.fork_server import prepare


def follow_format(judgement: Judgement) -> tuple[str, Result]:
    """Return that the file follows the format; raises Stopped or UnreadableKernel. It leaves `candidate`."""
    kernel = read_kernel(judgement.request.candidate, judgement.settings.limits.kernel_file_bytes)
    judgement.candidate = kernel
    if broken := check_format(kernel) or check_names_as_written(kernel):
        raise forbid("format", kernel.path, broken)
    prepare("record")  # its imports take as long as those of the next check, and have a core of their own
    if broken := check_names(kernel):
        raise forbid("format", kernel.path, broken)
    return f"{kernel.path} follows the format", None
