"""The judge of a cluster's host, an actor: it has an order's files, and a judge process that stays warm."""

import os
import platform
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from kernelgate.batch.asked import digest_gate
from kernelgate.batch.cluster.tree import Tree
from kernelgate.batch.order import Order
from kernelgate.batch.side_by_side.messages import Answer, Said
from kernelgate.batch.side_by_side.processes import JudgeProcess
from kernelgate.machine.versions import Provenance, describe_installation

NO_GPU = ""
"""What CUDA_VISIBLE_DEVICES says where Ray has given no GPU: there may be one that is another one's."""

NAMED_FILES = ("candidate", "problem", "plans")


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host as its judges know it: `gate` is the digest of the gate's own sources."""

    name: str
    gate: str
    environment: Provenance


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge says, as JSON of `Said`; with its answer come the files of the report, by their names."""

    said: bytes
    files: dict[str, bytes]


def describe_host() -> Host:
    """Return this host."""
    return Host(name=platform.node(), gate=digest_gate(), environment=describe_installation())


class HostJudge:
    """Judges one order at a time, in a folder that stands for the working directory of the batch."""

    def __init__(self, directory: str, *, has_gpu: bool) -> None:
        self._tree = Tree(directory)
        os.chdir(self._tree.directory)
        self._process = JudgeProcess(None if has_gpu else NO_GPU)
        self._report_dir = ""

    def describe(self) -> Host:
        """Return the host that it is on."""
        return describe_host()

    def begin(self, order: Order, files: Mapping[str, bytes], candidate: bytes) -> None:
        """Begin with an order, whose files these are; it is heard from then on. Raises OSError."""
        self._tree.hold({**files, order.file: candidate})
        self._report_dir = order.report_dir
        self._process.begin(self._place(order))

    def hear(self) -> Heard | None:
        """Return what the judge says next; None if it has ended, and another one may take its place."""
        said = self._process.hear()
        if said is None:
            return None
        files = self._tree.take(self._report_dir) if isinstance(said, Answer) else {}
        return Heard(said=self._tree.restore(msgspec.json.encode(said)), files=files)

    def end(self) -> None:
        """End the judge process, and remove the files."""
        self._process.end()
        self._process.wait()
        self._tree.remove()

    def _place(self, order: Order) -> Order:
        placed = {
            name: self._tree.place(value) if name in NAMED_FILES and isinstance(value, str) else value
            for name, value in order.options.items()
        }
        project = None if order.project is None else self._tree.place(order.project)
        return replace(order, options=placed, project=project, report_dir=self._tree.place(order.report_dir))


def decode_said(heard: Heard) -> Said:
    """Return what was said."""
    said: Said = msgspec.json.decode(heard.said, type=Said)
    return said
