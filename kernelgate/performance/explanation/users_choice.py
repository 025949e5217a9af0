"""Which configuration users get: the one that the file's own autotuner takes, held against the fastest.

The judge times every configuration and the verdict is on the fastest. A user's process chooses by itself. So
the file is called once more as a script calls it, in a sandboxed process with the GPU to itself. What that
process tells is data: the machine code of its launches, which is looked up among the recorded plans.
"""

from collections.abc import Sequence

import msgspec

from kernelgate import protocol
from kernelgate.compilation.timed_plans import find_plans, name_plan
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.machine.gpu_lock import locked
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault

ROUNDS = 12
"""In each of them code and tensors of both configurations lie elsewhere."""

NO_MATTER = 0.005
"""A choice that costs no more than this is as good as the fastest: half of what counts as noise."""


class UsersChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file's autotuner took, and the share by which that is slower than the `fastest`.

    `missing` says why it is not known, and is empty otherwise.
    """

    config: str = ""
    fastest: str = ""
    slower: float = 0.0
    missing: str = ""

    @property
    def matters(self) -> bool:
        """Whether users get a kernel that is slower than the one the verdict is on."""
        return self.slower > NO_MATTER


def find_users_choice(sandbox: Sandbox, kernel: KernelFile, gpu: Gpu, fastest: str) -> UsersChoice | None:
    """Return which configuration users get, None of a file with but one program.

    `fastest` is what the judge calls the one that it timed. It decides nothing: where it cannot be found out,
    the result says why.
    """
    plans = {name_plan(each): each for each in find_plans(sandbox, kernel)}
    if len(plans) == 1:
        return None
    if sandbox.has_book_of(kernel.sha256):
        return UsersChoice(fastest=fastest, missing="was not asked: the file was judged by its plans")
    try:
        with locked(gpu):
            launched = _call_file(sandbox, kernel)
            config = next((name for name, each in plans.items() if _launches(each) == launched), None)
            if config is None:
                unknown = "is not known: what the file launches in use is none that was recorded"
                return UsersChoice(fastest=fastest, missing=unknown)
            slower = 0.0 if config == fastest else _compare(sandbox, [plans[fastest], plans[config]])
            return UsersChoice(config=config, fastest=fastest, slower=slower)
    except (WorkerFault, GpuError) as error:
        return UsersChoice(fastest=fastest, missing=f"is not known: {error!s:.300}")


def _call_file(sandbox: Sandbox, kernel: KernelFile) -> tuple[str, ...]:
    with sandbox.start("use", kernel) as worker:
        sandbox.await_loaded(worker)
        request = protocol.NameLaunches(batch=sandbox.operation.measured_batch)
        return worker.ask(request, protocol.Launched, sandbox.limits.run_timeout_s).cubins


def _launches(plan: TimedPlan) -> tuple[str, ...]:
    """Return the machine code of each launch of a later call."""
    steps = enumerate(plan.stored.plan.steps)
    return tuple(
        step.program for place, step in steps if isinstance(step, Launch) and place not in plan.prepared
    )


def _compare(sandbox: Sandbox, plans: Sequence[TimedPlan]) -> float:
    """Return the share by which the second is slower than the first, by turns in one process."""
    batch, timeout_s = sandbox.operation.measured_batch, sandbox.limits.run_timeout_s
    with sandbox.start_arm(plans) as worker:
        sandbox.await_loaded(worker)
        worker.ask(protocol.Prepare(batch=batch), protocol.Warm, timeout_s)
        request = protocol.WarmUp(batch=batch, rounds=ROUNDS)
        first, second = worker.ask(request, protocol.Warm, timeout_s).times_ms
        return second / first - 1
