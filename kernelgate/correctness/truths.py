"""What answers are held against: the truth of a call, on a GPU made while the kernel runs."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from kernelgate.correctness.calls import Call, Run
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import family_of, make_tensors
from kernelgate.operations.draws.transfer import to_gpu
from kernelgate.operations.truth.places import listed
from kernelgate.operations.truth.reference import Truth
from kernelgate.operations.truth.truth import (
    TruthPart,
    truth_at,
    truth_everywhere,
    truth_in_parts,
    unravel,
)

Asked = tuple[Recipe, tuple[int, ...]]
"""The tensors of a call, and which items of its answer are compared."""


class TruthsOnGpu:
    """Truths in parts that fit beside a worker; one of a single part is kept for an equal call."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._begun: tuple[Asked, TruthPart, Iterator[TruthPart]] | None = None

    def at_work(self) -> AbstractContextManager[None]:
        """Have what is computed wait for nothing but itself: lanes side by side would wait for each other."""
        return torch.cuda.stream(self._stream)

    def begin(self, call: Call) -> None:
        """Make the first part of what the answer of a call will be held against."""
        asked = call.recipe, call.items
        if self._begun is not None and self._begun[0] == asked:
            return
        self._begun = None  # given back before the next is made
        asks_vendor = not family_of(self.operation, call.recipe).special
        parts = truth_in_parts(self.operation, *asked, vendor=asks_vendor)
        self._begun = asked, next(parts), parts

    def answers(self, run: Run) -> Iterator[tuple[Answer, torch.Tensor | None]]:
        """Yield the answer in parts with the truth at their places, and with the vendor's values."""
        self.begin(run.call)
        assert self._begun is not None
        assert run.bits is not None
        (asked, first, rest), self._begun = self._begun, None
        values = to_gpu(torch.from_numpy(run.bits.view(np.float32)))
        yield self._answer(run, values, first), first.vendor
        is_alone = True
        for part in rest:
            yield self._answer(run, values, part), part.vendor
            is_alone = False
        if is_alone:
            self._begun = asked, first, iter(())

    def _answer(self, run: Run, values: torch.Tensor, part: TruthPart) -> Answer:
        assert run.offsets is not None
        if part.rows is not None:
            rows = to_gpu(torch.from_numpy(part.rows))
            values = values.view(-1, math.prod(self.operation.output_shape(1)))[rows].flatten()
        return Answer(
            operation=self.operation,
            values=values,
            truth=part.truth,
            offsets=run.offsets,
            rows=part.rows,
            batch=run.call.recipe.batch,
            poison_bits=run.poison_bits,
        )


class TruthsOnHost:
    """Truths at the places that the programs of a call have written, which it alone can tell."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._whole: tuple[Recipe, Truth] | None = None

    def at_work(self) -> AbstractContextManager[None]:
        """Change nothing: each thread has a core of its own."""
        return nullcontext()

    def begin(self, call: Call) -> None:
        """Do nothing: the interpreter has the cores, and nobody knows yet what it will write."""

    def answers(self, run: Run) -> Iterator[tuple[Answer, None]]:
        """Yield the answer with the truth at its places; the vendor is not asked."""
        assert run.bits is not None
        assert run.offsets is not None
        yield (
            Answer(
                operation=self.operation,
                values=torch.from_numpy(run.bits.view(np.float32)),
                truth=self._truth(run),
                offsets=run.offsets,
                batch=run.call.recipe.batch,
                poison_bits=run.poison_bits,
            ),
            None,
        )

    def _truth(self, run: Run) -> Truth:
        recipe = run.call.recipe
        assert run.offsets is not None
        if len(run.offsets) == math.prod(self.operation.output_shape(recipe.batch)):
            if self._whole is None or self._whole[0] != recipe:  # many a call repeats the one before
                truth = truth_everywhere(self.operation, make_tensors(self.operation, recipe))
                self._whole = recipe, truth.flattened()
            return self._whole[1]
        return truth_at(self.operation, recipe, unravel(self.operation, listed(run.offsets), recipe.batch))
