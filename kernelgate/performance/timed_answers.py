"""What the candidate answered while it was timed."""

import math
from collections.abc import Sequence

import torch

from kernelgate.operations.accuracy import laws
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.accuracy.errors import look_at
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.timing_tensors import (
    draw_offsets,
    make_timing_batches,
    make_timing_parameters,
)
from kernelgate.operations.truth.truth import truth_of, unravel
from kernelgate.performance.samples import TimedAnswer
from kernelgate.settings import LawLimits
from kernelgate.verdict import Outcome, Reason, Verdict, conclude


def judge_answers(operation: Operation, answers: Sequence[TimedAnswer], limits: LawLimits) -> Verdict | None:
    """Return the verdict WRONG if the output of a timed call is not the right answer for its contents."""
    batch = operation.measured_batch
    elements = math.prod(operation.output_shape(batch))
    for answer in answers:
        if answer.bits is None:
            return conclude(
                Outcome.WRONG, Reason.TIMED_ANSWER, "a timed call left no output of the right size"
            )
        offsets = draw_offsets(elements, answer.bits.size, answer.places)
        parameters = make_timing_parameters(operation, answer.parameters)
        tensors = make_timing_batches(operation, batch, answer.contents) | parameters
        got = Answer(
            operation=operation,
            values=torch.from_numpy(answer.bits.view("float32")).cuda(),
            truth=truth_of(operation, tensors, unravel(operation, offsets, batch)),
            offsets=offsets,
            batch=batch,
            poison_bits=-1,
        )
        errors = look_at(got, limits).errors
        broken = next(laws.check_bound(got), None) or next(laws.check_error_ratio(errors, limits), None)
        if broken is not None:
            return conclude(
                Outcome.WRONG, Reason.TIMED_ANSWER, f"the output of a timed call: {broken.detail}"
            )
    return None
