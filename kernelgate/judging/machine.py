"""What a judgement meets once the kernel file's form is right: the GPU, and Hypothesis with its profile."""

import os
from pathlib import Path

import msgspec

from kernelgate.judging.options import refuse_code_path
from kernelgate.machine.gpu import GpuError, find_gpu
from kernelgate.pipeline.stage import Request
from kernelgate.settings import CorrectnessSettings


def keep_hypothesis_out() -> None:
    """Have Hypothesis keep what it notes of the code in the user's cache, not in the working directory."""
    from hypothesis.configuration import set_hypothesis_home_dir

    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    set_hypothesis_home_dir(Path(cache) / "kernelgate")


def load_profile(settings: CorrectnessSettings, name: str | None) -> None:
    """Make the profiles known to Hypothesis, and load the one named; else it has looked whether CI is set."""
    import hypothesis

    from kernelgate.correctness.planning.hypothesis_profile import register_profiles

    register_profiles(settings)
    if name is not None:
        hypothesis.settings.load_profile(name)


def meet_machine(request: Request, visible: tuple[str, ...]) -> Request:
    """Return the request with the GPUs at hand, of which the caller may see these.

    Raises GpuError where timing was asked for and there is no GPU, AskedError as `refuse_code_path` does.
    """
    try:
        gpu = find_gpu()
    except GpuError:
        if request.measure:
            raise
        gpu = None
    refuse_code_path(request, gpu)
    return msgspec.structs.replace(request, gpu=gpu, gpus=visible if gpu else ())
