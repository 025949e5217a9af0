"""Proposed records out of a workflow's artifact, a zip that anybody may have made: read strictly as data."""

import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from kernelgate.baselines.store import MAX_RECORD_BYTES
from kernelgate.errors import KernelgateError

MAX_MEMBERS = 10_000
PROPOSAL = re.compile(r"[a-z]+/[a-z0-9_]+/(baseline|compile)\.proposed\.json")
"""Where `judge` and `guard` leave them, as `changed/alexnet_conv1/baseline.proposed.json`."""


class ArtifactError(KernelgateError, ValueError):
    """The archives hold no proposal, or something that only an attacker would put there."""


def unpack_proposals(archive: Path, folder: Path) -> tuple[Path, ...]:
    """Return the files that the proposals of an archive became, in an empty folder, under names of ours.

    There may be none. What they say is not looked at here. Raises ArtifactError.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            contents = list(_read_proposals(archive, packed))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ArtifactError(f"{archive}: no archive that can be read: {error}") from error
    files = []
    for number, content in enumerate(contents):
        files.append(folder / f"{number}.proposed.json")
        files[-1].write_bytes(content)
    return tuple(files)


def _read_proposals(archive: Path, packed: zipfile.ZipFile) -> Iterator[bytes]:
    members = packed.infolist()
    if len(members) > MAX_MEMBERS:
        raise ArtifactError(f"{archive}: {len(members)} members, allowed {MAX_MEMBERS}")
    named = [member for member in members if PROPOSAL.fullmatch(member.filename)]
    if len({member.filename for member in named}) < len(named):
        raise ArtifactError(f"{archive}: two members of one name")
    for member in named:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ArtifactError(f"{archive}: {member.filename} is no regular file")
        with packed.open(member) as stream:  # the size that its header claims is not believed
            content = stream.read(MAX_RECORD_BYTES + 1)
        if len(content) > MAX_RECORD_BYTES:
            raise ArtifactError(f"{archive}: {member.filename} is larger than {MAX_RECORD_BYTES} bytes")
        yield content
