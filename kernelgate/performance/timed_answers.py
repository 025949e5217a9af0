"""What the candidate did and answered while it was timed."""

import math
from collections.abc import Sequence

import torch

from kernelgate.operations import accuracy as laws
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs
from kernelgate.operations.reference import truth_of, unravel
from kernelgate.operations.timing_inputs import draw_offsets, make_timing_input, make_timing_parameters
from kernelgate.performance.samples import (
    Conduct,
    TimedAnswer,
)
from kernelgate.settings import LawLimits
from kernelgate.verdict import Outcome, Verdict, conclude


def judge_conduct(operation: Convolution, conducts: Sequence[Conduct]) -> Verdict | None:
    """Return the verdict on a candidate that does something else while it is timed than when it was tried."""
    delegated = dict.fromkeys(found for conduct in conducts for found in conduct.delegated)
    if delegated:
        detail = f"in calls like those that were timed: {'; '.join(delegated)}"
        return conclude(Outcome.FORBIDDEN, "delegation", detail)
    narrow = dict.fromkeys(found for conduct in conducts for found in conduct.narrow)
    if narrow:
        less = f"loaded, while it was timed, code of less than the declared {operation.math}"
        return conclude(Outcome.WRONG, "declared-math", f"{less}: {', '.join(narrow)}")
    return None


def judge_answers(
    operation: Convolution, answers: Sequence[TimedAnswer], limits: LawLimits
) -> Verdict | None:
    """Return the verdict WRONG if the output of a timed call is not the right answer for its contents."""
    batch = operation.measured_batch
    elements = math.prod(operation.output_shape(batch))
    for answer in answers:
        if answer.bits is None:
            return conclude(Outcome.WRONG, "timed-answer", "a timed call left no output of the right size")
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
            return conclude(Outcome.WRONG, "timed-answer", f"the output of a timed call: {broken.detail}")
    return None
