"""One judge's seat in a cluster: an actor on whatever host has room, and a new one for each that is lost."""

import contextlib
import sys
import threading
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from kernelgate.batch.cluster.host_judge import Host, HostJudge, decode_said, describe_host
from kernelgate.batch.cluster.places import Place
from kernelgate.batch.order import Order
from kernelgate.batch.side_by_side.messages import Answer
from kernelgate.batch.side_by_side.processes import END_SECONDS
from kernelgate.judging.watch import Watch

MAX_FAULTS = 3


class Seat:
    """Keeps an actor. Whoever uses it holds its `lock`: an actor has one order at a time."""

    def __init__(self, place: Place, directory: str) -> None:
        self.lock = threading.Lock()
        self.fault = ""
        self._place, self._directory = place, directory
        self._changing, self._faults = threading.Lock(), 0
        self._is_over = self._is_at_work = False
        self._start()

    @property
    def is_over(self) -> bool:
        """Whether it has been told to end."""
        return self._is_over

    @property
    def has_lost(self) -> bool:
        """Whether it has lost an actor, and there may be no room for another one."""
        return bool(self.fault)

    def is_ready(self) -> bool:
        """Return whether its actor can judge by now."""
        described = self._described
        if self._host is None and described is not None and not self._is_over:
            ready, _ = ray.wait([described], timeout=0)
            if ready:
                self._meet(described)
        return self._host is not None and not self._is_over

    def carry_out(
        self, order: Order, files: Any, candidate: bytes, watch: Watch
    ) -> tuple[Answer, Host, dict[str, bytes]] | None:
        """Return the answer to an order, who gave it, and its report; None if the judge is lost.

        `files` may be a reference to what is in the object store. An actor that is lost is replaced.
        """
        actor, host = self._actor, self._host
        assert host is not None
        self._is_at_work = True
        try:
            ray.get(actor.begin.remote(order, files, candidate))
            while (heard := ray.get(actor.hear.remote())) is not None:
                said = decode_said(heard)
                if isinstance(said, Answer):
                    return said, host, heard.files
                watch.ended(said.stage, said.result)
        except RayError as error:
            self._replace(str(error))
        finally:
            self._is_at_work = False
        return None

    def end(self) -> None:
        """Have the actor end: at once what it is at work on. No other takes its place."""
        with self._changing:
            self._is_over = True
        if self._is_at_work or self._host is None:
            ray.kill(self._actor)

    def wait(self) -> None:
        """Wait until the actor has ended, and nobody uses it any more."""
        with contextlib.suppress(RayError):
            if self._host is not None and not self._is_at_work:
                ray.wait([self._actor.end.remote()], timeout=END_SECONDS)
        ray.kill(self._actor)
        if self.lock.acquire(timeout=END_SECONDS):
            self.lock.release()

    def _start(self) -> None:
        self._host: Host | None = None
        where = NodeAffinitySchedulingStrategy(self._place.node, soft=True)
        actors: Any = ray.remote(HostJudge)
        self._actor = actors.options(
            num_cpus=self._place.cpus, num_gpus=self._place.gpus, scheduling_strategy=where
        ).remote(self._directory, has_gpu=self._place.gpus > 0)
        self._described: Any = self._actor.describe.remote()

    def _meet(self, described: Any) -> None:
        """Take the actor if its host has the gate of this host; else none is started any more."""
        try:
            host: Host = ray.get(described)
        except RayError as error:
            self._replace(str(error), described)
            return
        with self._changing:
            if described is not self._described or self._host is not None:
                return
            if (differs := find_difference(host, describe_host())) is None:
                self._host, self._faults = host, 0
            else:
                self._described = None
                self._tell(f"{host.name} does not judge: {differs}")

    def _replace(self, why: str, described: Any = None) -> None:
        """Start an actor in the place of one that is lost: of that one, if it is named."""
        with self._changing:
            if self._is_over or (described is not None and described is not self._described):
                return
            self._faults += 1
            self._tell(f"a judge of the cluster is lost: {why.strip().splitlines()[0]}")
            with contextlib.suppress(RayError):
                ray.kill(self._actor)
            if self._faults <= MAX_FAULTS:
                self._start()
            else:
                self._host = self._described = None

    def _tell(self, fault: str) -> None:
        self.fault = fault
        print(f"kernelgate: {fault}", file=sys.stderr)


def find_difference(there: Host, here: Host) -> str | None:
    """Return what keeps a host from judging in the place of this one, None if nothing does."""
    if there.gate != here.gate:
        return "it has another version of kernelgate; install the same on every host"
    if there.environment != here.environment:
        return f"it has other libraries: {there.environment}, here {here.environment}"
    return None
