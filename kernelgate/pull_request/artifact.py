"""What a workflow's artifact holds, a zip that anybody may have made: read strictly as data."""

import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from kernelgate.baselines.store import MAX_RECORD_BYTES
from kernelgate.errors import KernelgateError
from kernelgate.plan_book.book import FILE, MAX_BOOK_BYTES
from kernelgate.plan_book.index import INDEX_NAME

MAX_MEMBERS = 10_000
PROPOSAL = re.compile(r"[a-z]+/[a-z0-9_]+/(baseline|compile)\.proposed\.json")
"""Where `judge-change` and `guard` leave them, as `changed/alexnet_conv1/baseline.proposed.json`."""

OF_A_BOOK = re.compile(rf"[0-9a-f]{{64}}/({re.escape(INDEX_NAME)}|{FILE.pattern})")
"""Where `judge --keep-plans` leaves them: in a folder that the kernel file's sha256 names."""

FOLDER = re.compile(r"[0-9a-f]{64}/")
"""What packers list as well; nothing is made of it."""


class ArtifactError(KernelgateError, ValueError):
    """The archives hold no proposal, or something that only an attacker would put there."""


def unpack_proposals(archive: Path, folder: Path) -> tuple[Path, ...]:
    """Return the files that the proposals of an archive became, in an empty folder, under names of ours.

    There may be none. What they say is not looked at here. Raises ArtifactError.
    """
    members = _read_members(archive, PROPOSAL, MAX_RECORD_BYTES, MAX_MEMBERS * MAX_RECORD_BYTES)
    files = []
    for number, (_, content) in enumerate(list(members)):
        files.append(folder / f"{number}.proposed.json")
        files[-1].write_bytes(content)
    return tuple(files)


def unpack_books(archive: Path, folder: Path) -> None:
    """Unpack the plan books of an archive into an empty folder, each into one of its own.

    What they say is not looked at here. Raises ArtifactError, also for a member that belongs to no book.
    """
    for name, content in _read_members(archive, OF_A_BOOK, MAX_BOOK_BYTES, MAX_BOOK_BYTES, strict=True):
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)


def _read_members(
    archive: Path, known: re.Pattern[str], member_bytes: int, all_bytes: int, *, strict: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the members whose names are known; `strict` refuses any other.

    Raises ArtifactError for what no workflow of ours packs, and for more bytes than are allowed.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            left = all_bytes
            for member in _select(archive, packed, known, strict=strict):
                with packed.open(member) as stream:  # the size that its header claims is not believed
                    content = stream.read(min(member_bytes, left) + 1)
                left -= len(content)
                if len(content) > member_bytes or left < 0:
                    raise ArtifactError(f"{archive}: {member.filename} is larger than is allowed")
                yield member.filename, content
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{archive}: no archive that can be read: {error}") from error


def _select(
    archive: Path, packed: zipfile.ZipFile, known: re.Pattern[str], *, strict: bool
) -> list[zipfile.ZipInfo]:
    members = packed.infolist()
    if len(members) > MAX_MEMBERS:
        raise ArtifactError(f"{archive}: {len(members)} members, allowed {MAX_MEMBERS}")
    named = [member for member in members if known.fullmatch(member.filename)]
    names = (member.filename for member in members)
    other = [name for name in names if not known.fullmatch(name) and not FOLDER.fullmatch(name)]
    if strict and other:
        raise ArtifactError(f"{archive}: {other[0]!a:.200} has no business in it")
    if len({member.filename for member in named}) < len(named):
        raise ArtifactError(f"{archive}: two members of one name")
    for member in named:
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ArtifactError(f"{archive}: {member.filename} is no regular file")
    return named
