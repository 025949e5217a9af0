"""A plan book holds every call that a judgement by it will make on the GPU."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Self

import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.correctness.callers import book_calls
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.calls import Call
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.correctness.planning.plan import batches_of, plan_for_gpu
from kernelgate.execution.cards import HOPPER
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.near_values import KINDS
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.project_settings import LAWS

ENTROPY, SWEPT = 77, 300
TWO, THREE = 2, 3
"""Sizes that are batches which every kernel is tried on: the file names them, and nothing follows."""

KERNEL = KernelFile(path="k.py", sha256="0" * 64, source=f"sizes = {TWO}, {THREE}, 900\nlast = 37 % 7 == 0\n")
COMPILED = CompiledKernel(
    target="sm_90",
    kernel_sha256="0" * 64,
    configs=tuple(
        ConfigRecord(
            config=ALEXNET_CONV1.original.config, launches=(make_launch(code_sha256=code * 64),), error=""
        )
        for code in "abc"
    ),
)
SANDBOX: Any = SimpleNamespace(operation=ALEXNET_CONV1, limits=None)


class NotingPlanner:
    """Notes what it is asked to record."""

    def __init__(self, *_: object) -> None:
        self.sandbox = SANDBOX
        self.expected: set[tuple[object, ...]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""

    def expect(self, call: Call) -> None:
        """Note what the call is known by."""
        self.expected.add(known_by(call))

    def finish(self) -> None:
        """Nothing is waited for."""


def known_by(call: Call) -> tuple[object, ...]:
    return call.recipe.batch, call.pin, call.layout, call.recipe.absent


def judged() -> Iterator[Case]:
    """Yield the cases of a judgement: those that are planned, and those near the numbers of decisions."""
    named = batches_of(KERNEL, ALEXNET_CONV1)
    yield from plan_for_gpu(ALEXNET_CONV1, COMPILED, named, ENTROPY, swept=SWEPT, calls_file=False).planned
    yield from (Case(batch=KINDS, family="normal", seed=0, pin=pin, near="x:0") for pin in range(3))


def test_a_batch_that_is_tried_anyway_is_not_named_again() -> None:
    """It would be one case more for nothing."""
    named = batches_of(KERNEL, ALEXNET_CONV1)
    assert {900, 899, 901, 37} <= set(named)
    assert not {TWO, THREE} & set(named)


def test_every_call_of_a_judgement_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the sweep and near decisions too: what is missing would be INVALID on the GPU machine."""
    planner = NotingPlanner()
    monkeypatch.setattr(book_calls, "Planner", lambda *_: planner)
    target = Target(capability=90, at_hand=HOPPER)
    book_calls.record_calls(SANDBOX, KERNEL, COMPILED, target, ENTROPY, LAWS)
    case_runner = CaseRunner(PlanCaller(planner), LAWS)  # type: ignore[arg-type]
    asked = {known_by(call) for case in judged() for call in case_runner.calls_of(case)}
    assert len({batch for batch, *_ in asked}) > 20
    assert asked <= planner.expected
