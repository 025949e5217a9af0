"""The plans that a file is timed by: each different program once, and what a file prepares once apart."""

from pathlib import Path

import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import Target, target_at_hand
from kernelgate.compilation.recording import UnplannedError
from kernelgate.compilation.timed_plans import different_plans, find_plans
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import load_settings
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.made_up_plans import make_plan
from tests.selftest.support.recorders import as_kernel_file
from tests.selftest.support.small_kernels import TWO_LAUNCHES, changed

LIMITS = load_settings(Path(__file__).resolve().parents[3] / "pyproject.toml").limits
AT_HAND = Target(capability=90, is_timed=True)


def timed(source: str, folder: Path, target: Target = AT_HAND) -> tuple[Sandbox, KernelFile]:
    """Return a sandbox in which the file was compiled for the target."""
    kernel = as_kernel_file(source, folder)
    sandbox = Sandbox(ALEXNET_CONV1, LIMITS)
    try:
        compile_kernel(sandbox, kernel, [target], workers=1)
    finally:
        sandbox.close()
    return sandbox, kernel


def test_a_compile_for_the_gpu_at_hand_leaves_plans(tmp_path: Path) -> None:
    """One for the file's one configuration; nothing is prepared."""
    (plan,) = find_plans(*timed(TWO_LAUNCHES, tmp_path))
    assert plan.stored.plan.target == "sm_90"
    assert plan.prepared == ()


def test_another_target_leaves_none(tmp_path: Path) -> None:
    """Whose plans nobody could time here."""
    with pytest.raises(UnplannedError, match="no configuration runs on the GPU at hand"):
        find_plans(*timed(TWO_LAUNCHES, tmp_path, Target(capability=89)))


def test_with_another_gpus_code_it_is_that_code_that_is_timed() -> None:
    """An RTX 4090's, assembled for the GPU at hand."""
    target = target_at_hand(90, ada_on=90)
    assert (str(target), target.is_timed) == ("sm_89 on sm_90", True)
    assert str(target_at_hand(90, ada_on=None)) == "sm_90"


def test_what_is_made_once_of_the_parameters_is_prepared(tmp_path: Path) -> None:
    """A launch that only the first call makes, since its result is kept."""
    pack = """
    def pack(self):
        weight = self.conv1.weight
        key = (id(weight), weight.data_ptr(), weight._version)
        if getattr(self, "key", None) != key:
            self.key, self.kept_alive = key, weight
            self.packed = torch.empty_like(weight)
            fill[(7,)](weight, weight, self.packed, 1, weight.numel(), 7, BLOCK=1)
        return self.packed

    def forward(self, x):
"""
    kept = changed("    def forward(self, x):\n", pack, changed("(x, conv1.weight,", "(x, self.pack(),"))
    (plan,) = find_plans(*timed(kept, tmp_path))
    steps = [plan.stored.plan.steps[place] for place in plan.prepared]
    assert [step.grid for step in steps if isinstance(step, Launch)] == [(7, 1, 1)]


def make_timed(number: int) -> TimedPlan:
    plan = StoredPlan(plan=make_plan(batch=number), sha256=f"{number:064x}", contents=Path())
    return TimedPlan(stored=plan)


def make_record(plan_sha256: str) -> ConfigRecord:
    config = KernelConfig(blocks={}, num_warps=4, num_stages=2)
    launches = (make_launch(),) if plan_sha256 else ()
    return ConfigRecord(
        config=config,
        launches=launches,
        error="" if launches else "cannot run",
        plan_sha256=plan_sha256,
    )


def test_configurations_that_do_the_same_are_timed_once() -> None:
    """The first of them stands for all; what cannot run is left out."""
    records = tuple(map(make_record, ("a" * 64, "", "b" * 64, "a" * 64)))
    plans = (make_timed(1), None, make_timed(2), make_timed(3))
    assert different_plans(records, plans) == (plans[0], plans[2])
