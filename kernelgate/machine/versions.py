"""The versions that a result depends on."""

import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path

import msgspec

UNKNOWN = "unknown"


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions of what a time depends on; what could not be read is "unknown"."""

    python: str
    torch: str
    triton: str
    cuda: str
    cudnn: str
    driver: str


def describe_environment(driver: str = UNKNOWN) -> Provenance:
    """Return the versions in force here; `driver` is the GPU driver's, where there is one."""
    import torch  # noqa: PLC0415 - it takes seconds, and the other versions do not need it

    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return Provenance(
        python=platform.python_version(),
        torch=str(torch.__version__),
        triton=triton_version(),
        cuda=str(torch.version.cuda or UNKNOWN),
        cudnn=str(cudnn or UNKNOWN),
        driver=driver,
    )


def triton_version() -> str:
    """Return the version of the installed Triton."""
    return importlib.metadata.version("triton")


def assembler_version() -> str:
    """Return the version of the ptxas that Triton carries, "unknown" if it does not say."""
    distribution = importlib.metadata.distribution("triton")
    ptxas = Path(str(distribution.locate_file("triton/backends/nvidia/bin/ptxas")))
    try:
        said = subprocess.run([ptxas, "--version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    version = re.search(r"V(\d+\.\d+\.\d+)", said.stdout)
    return version[1] if version else UNKNOWN
