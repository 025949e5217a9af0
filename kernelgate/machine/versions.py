"""The versions that a result depends on."""

import ast
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


def describe_installation() -> Provenance:
    """Return the versions that are installed, without the seconds that it takes to load them.

    cuDNN's is that of the package beside PyTorch's wheel, "unknown" for another build of PyTorch. The GPU is
    not looked at, so its driver is "unknown".
    """
    torch = _read_torch()
    return Provenance(
        python=platform.python_version(),
        torch=torch["__version__"],
        triton=triton_version(),
        cuda=torch["cuda"],
        cudnn=_installed_cudnn(torch["cuda"].partition(".")[0]),
        driver=UNKNOWN,
    )


def _read_torch() -> dict[str, str]:
    """Return what PyTorch's own version.py says of `__version__` and `cuda`, read as text."""
    distribution = importlib.metadata.distribution("torch")
    tree = ast.parse(Path(str(distribution.locate_file("torch/version.py"))).read_text(encoding="utf-8"))
    said = {"__version__": distribution.version, "cuda": UNKNOWN}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
            said[target.id] = value.value
    return said


def _installed_cudnn(cuda_major: str) -> str:
    """Return the version as cuDNN itself counts: 92000 is 9.20.0 (cudnn_version.h)."""
    try:
        version = importlib.metadata.version(f"nvidia-cudnn-cu{cuda_major}")
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
    major, minor, patch = map(int, version.split(".")[:3])
    return str(major * 10_000 + minor * 100 + patch)


def describe_environment(driver: str = UNKNOWN) -> Provenance:
    """Return the versions in force here; `driver` is the GPU driver's, where there is one."""
    import torch  # noqa: PLC0415 - it takes seconds, which a file that breaks the format is not worth

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
