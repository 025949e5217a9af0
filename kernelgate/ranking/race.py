"""A race of kernels: replicate after replicate of all that are left, until one is, or they tie."""

import random
from collections.abc import Callable, Mapping, Sequence

import msgspec
import torch

from kernelgate.errors import KernelgateError
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError, read_health
from kernelgate.machine.gpu_lock import locked
from kernelgate.performance.decision.interim_looks import confidence_at
from kernelgate.performance.decision.log_ratio import BlockTimes, summarise
from kernelgate.performance.replicate import Replicate
from kernelgate.performance.replicates import keep_to, open_crew, plans_of
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.schedule import Design
from kernelgate.performance.stage import memory_named
from kernelgate.performance.timed_answers import judge_answers
from kernelgate.performance.validity import find_throttled, find_untrue_times
from kernelgate.ranking.elimination import Ended, count_pairs, doubt_control, take_look
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings
from kernelgate.verdict import Reason, Verdict

MAX_RACERS = 16
"""Each is a process with a CUDA context of its own, beside the two of the accepted kernel."""


class RankError(KernelgateError, ValueError):
    """What is asked for cannot be ranked; the text says why."""


class Race:
    """Kernels that are timed beside each other, by the sha256 of each; they are compiled in the sandbox.

    `accepted` is None where PyTorch stands in its place; `faults` says whom not to time at all. After `run`,
    `ended` says how, `left` who was in it to the end, `slower` by whom each that left at a look was proven
    slower, `seen` how many replicates each was in, `faults` why those left whose answers, processes or times
    do not hold.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        kernels: Sequence[KernelFile],
        accepted: KernelFile | None,
        gpu: Gpu,
        settings: Settings,
        faults: Mapping[str, Verdict],
    ) -> None:
        self.sandbox, self.gpu, self.settings = sandbox, gpu, settings
        self.kernels = {kernel.sha256: kernel for kernel in kernels}
        self.faults = dict(faults)
        self.left = [name for name in self.kernels if name not in faults]
        self.pairs = count_pairs(len(self.left))
        self.measured: list[MeasuredReplicate] = []
        self.times: list[BlockTimes] = []
        self.slower: dict[str, tuple[str, ...]] = {}
        self.seen: dict[str, int] = {}
        self.ended: Ended | None = None
        self.doubt = ""
        self._chance = random.Random()  # noqa: S311 - the order of arms, not a secret
        self._plans = plans_of(
            sandbox,
            {Arm.ACCEPTED: accepted, Arm.CONTROL: accepted}
            | {name: self.kernels[name] for name in self.left},
        )

    def run(self, tick: Callable[[], None]) -> None:
        """Time all that are left until the race has ended; `tick` is called after each replicate.

        Raises RankError if the accepted kernel fails, GpuError if the GPU cannot be had alone, or is too
        small.
        """
        torch.cuda.empty_cache()  # what the judge's own reference held: all arms must fit beside it
        with locked(self.gpu):
            while self.left and self.ended is None:
                self._measure()
                tick()
                if self.left and len(self.measured) in self.settings.performance.looks:
                    self._look()
        self.ended = self.ended or Ended.NONE_RIGHT
        self._doubt_losses()

    def differences(self, one: str, other: str) -> list[float]:
        """Return ln t of one arm less that of the other, for each replicate that both were in."""
        trimmed = self.settings.performance.trimmed_share
        both = (times for times in self.times if {one, other} <= times.blocks[0].keys())
        return [times.contrast(one, other, trimmed) for times in both]

    def _measure(self) -> None:
        """Add a replicate of all that are left; one whose process fails leaves, and the others start anew."""
        while self.left:
            try:
                one = self._time_once()
            except WorkerFault as fault:
                self._drop_failed(fault)
                continue
            self.measured.append(self._settle(one))
            self.times.append(one.replicate())
            self.seen |= dict.fromkeys(self.left, len(self.measured))
            return

    def _time_once(self) -> MeasuredReplicate:
        plans = {arm: self._plans[arm] for arm in (Arm.ACCEPTED, Arm.CONTROL, *self.left)}
        settings, design = self.settings.performance, Design(judged=frozenset(self.left))
        with open_crew(self.sandbox, plans) as crew:
            place = 1, len(self.measured)
            one = Replicate(place, self.sandbox, crew, self.gpu, settings, self._chance, design)
            one.prepare()
            measured = one.measure()
        self._plans |= keep_to(plans, one.chosen)
        return measured

    def _drop_failed(self, fault: WorkerFault) -> None:
        """Let the kernel whose process failed leave the race. Raises RankError, GpuError if it was none's."""
        read_health(self.gpu, set())  # which raises GpuError: a GPU that fell off is no kernel's fault
        if fault.kind is FaultKind.CROWDED:
            many = f"{len(self.left) + 2} processes do not fit on {self.gpu.name} at once"
            raise GpuError(f"{many}: {fault.detail}. Rank fewer files at a time.", Reason.GPU_MEMORY)
        if fault.worker not in self.left:
            raise RankError(f"not a candidate but the accepted kernel failed while it was timed: {fault}")
        self._drop(fault.worker, blame(fault, self._path(fault.worker), is_candidate=True))

    def _settle(self, one: MeasuredReplicate) -> MeasuredReplicate:
        """Judge what each kernel answered while it was timed; returns the replicate without the answers."""
        with memory_named():
            for name in tuple(self.left):
                answers = [answer for answer in one.answers if answer.arm == name]
                if wrong := judge_answers(self.sandbox.operation, answers, self.settings.laws):
                    self._drop(name, wrong)
        torch.cuda.empty_cache()  # as before the first replicate
        return msgspec.structs.replace(one, answers=())

    def _look(self) -> None:
        settings = self.settings.performance
        for name in tuple(self.left):
            operation = self.sandbox.operation
            if untrue := find_untrue_times(operation, self.measured, self.gpu, settings, name):
                self._drop(name, untrue)
        if not self.left:
            return
        if doubt := self._find_doubt():
            if len(self.measured) >= settings.looks[-1]:
                self.ended, self.doubt = Ended.UNSTABLE, doubt
            return  # nobody leaves by figures that may be off; more replicates may settle it
        look = take_look(self.left, self.differences, self.pairs, settings)
        self.slower |= look.slower
        self.left = [name for name in self.left if name not in look.slower]
        self.ended = look.ended

    def _find_doubt(self) -> str:
        settings = self.settings.performance
        if throttled := find_throttled(self.measured, settings):
            return throttled.detail
        confidence = confidence_at(settings, len(self.measured))
        control = summarise(self.differences(Arm.CONTROL, Arm.ACCEPTED), confidence)
        return doubt_control(control, settings)

    def _doubt_losses(self) -> None:
        """Trust no ranking in which a kernel left for one that does not hold itself."""
        for name, by in self.slower.items():
            if all(each in self.faults for each in by):
                told = f"{self._path(name)} left as slower than {self._path(by[0])}, which left later itself"
                self.ended, self.doubt = Ended.UNSTABLE, f"{told}: {self.faults[by[0]].detail}"

    def _drop(self, name: str, why: Verdict) -> None:
        self.left.remove(name)
        self.faults[name] = why

    def _path(self, name: str) -> str:
        return self.kernels[name].path
