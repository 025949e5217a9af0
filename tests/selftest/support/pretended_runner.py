"""A caller without a worker: it answers right, on a small picture, but where a test says otherwise."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run, nothing
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_items, make_parameters
from kernelgate.operations.truth.truth import truth_at, truth_everywhere, unravel
from kernelgate.protocol import Ran
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.small_convolution import resize

SMALL = resize(in_size=15, out_channels=32)
AN_ITEM = 32 * 3 * 3
SAMPLE = 300
"""Places of a sampled answer: enough for a ratio of errors."""

Change = Callable[[Run, int], Run]
"""What a test makes of the right answer to a call, by the call's place in the case."""


class PretendedRunner:
    """Stands in for a caller: `calls` are those made, `closed` is how often it started afresh."""

    def __init__(self, change: Change | None, operation: Operation, *, interprets: bool) -> None:
        self.change, self.interprets = change, interprets
        self.sandbox: Any = SimpleNamespace(operation=operation)
        self.calls: list[Call] = []
        self.expected: list[Call] = []
        self.closed = 0

    def expect(self, call: Call) -> None:
        """Note it."""
        self.expected.append(call)

    def run(self, call: Call, meanwhile: Callable[[], None] = nothing) -> Run:
        """Return the answer to a call, as the test would have it."""
        self.calls.append(call)
        meanwhile()
        run = answer(self.sandbox.operation, call)
        return self.change(run, len(self.calls) - 1) if self.change else run

    def close(self) -> None:
        """Note it."""
        self.closed += 1


def answer(operation: Operation, call: Call) -> Run:
    """Return what a kernel that is right answers: all on the small picture, or a sample on any."""
    shape = operation.output_shape(call.recipe.batch)
    launch = SeenLaunch(
        kernel="conv",
        programs_run=2 if call.programs else 100,
        programs_total=100,
        makes_answer=True,
        most_written=int(np.prod(shape)),
    )
    bits, offsets = _sampled(operation, call) if call.programs else _whole(call)
    ran = Ran(
        returned="Tensor",
        shape=shape,
        dtype="torch.float32",
        device="cuda:0",
        contiguous=True,
        launches=(launch,),
    )
    return Run(call=call, ran=ran, bits=bits, offsets=offsets, poison_bits=0x7FC0BEEF)


def _sampled(operation: Operation, call: Call) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    end = int(np.prod(operation.output_shape(call.recipe.batch)))
    offsets = np.arange(min(SAMPLE, end))
    offsets[-1] = end - 1
    exact = truth_at(operation, call.recipe, unravel(operation, offsets, call.recipe.batch)).exact
    return exact.float().numpy().view(np.uint32), offsets


def _whole(call: Call) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    items = call.items or tuple(range(call.recipe.batch))
    offsets = np.array(items)[:, None] * AN_ITEM + np.arange(AN_ITEM)
    return _answer_of(call.recipe, items), offsets.ravel()


@functools.cache
def _answer_of(recipe: Recipe, items: tuple[int, ...]) -> NDArray[np.uint32]:
    inputs = make_items(SMALL, recipe, items) | make_parameters(SMALL, recipe)
    return truth_everywhere(SMALL, inputs).exact.float().numpy().ravel().view(np.uint32)


def make_case(**changes: Any) -> Case:
    """Return a plain case on two images, run whole, with what is to be otherwise."""
    return Case(**{"batch": 2, "family": "normal", "seed": 5, "pin": 1, **changes})


def make_case_runner(
    change: Change | None = None, operation: Operation = SMALL, *, interprets: bool = True
) -> tuple[CaseRunner, PretendedRunner]:
    """Return a case runner of answers that are right but for the change, and its caller."""
    caller = PretendedRunner(change, operation, interprets=interprets)
    return CaseRunner(caller, LAWS, sampled=("conv",)), caller


def spoiled(run: Run, place: int = -1, value: float = 1e6) -> Run:
    """Return the run with another value at a place of its answer."""
    assert run.bits is not None
    bits = run.bits.copy()
    bits.view(np.float32)[place] = value
    return msgspec.structs.replace(run, bits=bits)
