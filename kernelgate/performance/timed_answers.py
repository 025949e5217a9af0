"""What the candidate answered while it was timed."""

import math
from collections.abc import Sequence

import torch

from kernelgate.operations import accuracy as laws
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs
from kernelgate.operations.reference import truth_of, unravel
from kernelgate.operations.timing_inputs import draw_offsets, make_timing_input, make_timing_parameters
from kernelgate.performance.samples import TimedAnswer
from kernelgate.settings import LawLimits
from kernelgate.verdict import Outcome, Reason, Verdict, conclude


def judge_answers(
    operation: Convolution, answers: Sequence[TimedAnswer], limits: LawLimits
) -> Verdict | None:
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
        inputs = Inputs(make_timing_input(operation, batch, answer.contents), *parameters)
        got = laws.Answer(
            operation=operation,
            values=torch.from_numpy(answer.bits.view("float32")).to(inputs.x.device),
            truth=truth_of(operation, inputs, unravel(operation, offsets)),
            offsets=offsets,
            poison_bits=-1,
        )
        errors = laws.measure_errors(got, limits)
        broken = next(laws.check_bound(got), None) or next(laws.check_error_ratio(errors, limits), None)
        if broken is not None:
            return conclude(
                Outcome.WRONG, Reason.TIMED_ANSWER, f"the output of a timed call: {broken.detail}"
            )
    return None
