"""What a verdict follows from beside the candidate's bytes, as a digest: asked again, it is the same."""

import hashlib
import os
from functools import cache
from pathlib import Path

import msgspec

from kernelgate.files import digest_file
from kernelgate.kernel_file.source import read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel
from kernelgate.pipeline.judgement import Judgement

PACKAGE = Path(__file__).resolve().parents[1]


def digest_asked(judgement: Judgement, profile: str | None, gpus: tuple[str, ...]) -> str:
    """Return the sha256 of all that the verdict follows from, but for the candidate.

    That is the request, the contents of the files that it names, the settings, the records, the versions,
    the GPUs of whoever judges and the gate's own sources. Raises OSError for a file that cannot be read.
    """
    request = msgspec.structs.replace(judgement.request, candidate=Path(), report_dir=Path())
    files = [file for file in (request.problem, request.plans and request.plans / "index.json") if file]
    files += sorted((request.root / "baselines").rglob("*.json")) if request.root else []
    kernels = (judgement.accepted, judgement.original)
    asked = (
        request,
        [digest_file(file) for file in files],
        [kernel.sha256 if kernel else None for kernel in kernels],
        judgement.settings,
        judgement.environment,
        judgement.confinement,
        (gpus, profile, os.environ.get("CI")),
        digest_gate(),
    )
    return hashlib.sha256(msgspec.json.encode(asked, enc_hook=str)).hexdigest()


def digest_candidate(judgement: Judgement) -> str | None:
    """Return the sha256 of the candidate's bytes, None where they cannot be read."""
    try:
        return read_kernel(judgement.request.candidate, judgement.settings.limits.kernel_file_bytes).sha256
    except UnreadableKernel:
        return None


@cache
def digest_gate() -> str:
    """Return the digest of the gate's own sources: its version alone does not tell two checkouts apart."""
    files = sorted(each for each in PACKAGE.rglob("*") if each.suffix in (".py", ".toml"))
    return hashlib.sha256("".join(map(digest_file, files)).encode()).hexdigest()
