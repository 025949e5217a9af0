"""What makes a measurement untrustworthy: a slowed GPU, impossible times, wrong answers."""

import math
import statistics
from collections.abc import Sequence

import torch
from scipy import stats

from kernelgate import laws
from kernelgate.gpu import Gpu, physical_floor_ms
from kernelgate.inputs import Inputs
from kernelgate.measured import ACCEPTED, CANDIDATE, Conduct, Measured, Sample, TimedAnswer
from kernelgate.operations import Convolution
from kernelgate.reference import truth_of, unravel
from kernelgate.slowdown import TRIMMED_SHARE
from kernelgate.timing_inputs import draw_offsets, make_timing_input, make_timing_parameters
from kernelgate.verdict import Outcome, Verdict, conclude

MAX_OVERHEAD_SHARE = 0.002
MAX_OVERHEAD_MS = 0.08
"""What the candidate's wall clock may show beside its event times, more than the accepted kernel's does.

Of groups of four replicates of identical arms on six H200s none was off by more than 0.06 ms.
"""

MAX_THROTTLED_SHARE = 0.1


def find_invalid(operation: Convolution, measured: Sequence[Measured], gpu: Gpu) -> Verdict | None:
    """Return why the measurement cannot be trusted, None if nothing speaks against it."""
    samples = [sample for one in measured for sample in one.samples]
    return (
        _find_throttled(measured)
        or _find_impossible(operation, samples, gpu)
        or _find_disagreeing_timer(measured)
    )


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


def judge_answers(operation: Convolution, answers: Sequence[TimedAnswer]) -> Verdict | None:
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
        errors = laws.measure_errors(got)
        broken = next(laws.check_bound(got), None) or next(laws.check_error_ratio(errors), None)
        if broken is not None:
            return conclude(Outcome.WRONG, "timed-answer", f"the output of a timed call: {broken.detail}")
    return None


def _find_throttled(measured: Sequence[Measured]) -> Verdict | None:
    readings = [reading.health for one in measured for reading in one.readings]
    slowed = [health for health in readings if health.throttled]
    if len(slowed) > MAX_THROTTLED_SHARE * len(readings):
        reasons = ", ".join(sorted({reason for health in slowed for reason in health.throttled or ()}))
        detail = f"{len(slowed)} of {len(readings)} readings show {reasons}"
        return conclude(Outcome.INVALID, "throttled", detail)
    return None


def _find_impossible(operation: Convolution, samples: Sequence[Sample], gpu: Gpu) -> Verdict | None:
    floor_ms = physical_floor_ms(operation, operation.measured_batch, gpu.name)
    fastest = min(min(sample.times_ms) for sample in samples if sample.arm == CANDIDATE)
    if floor_ms is not None and fastest < floor_ms:
        detail = f"a call took {fastest:.4f} ms, the GPU's peaks allow {floor_ms:.4f} ms"
        return conclude(Outcome.INVALID, "faster-than-physics", detail)
    return None


def _find_disagreeing_timer(measured: Sequence[Measured]) -> Verdict | None:
    """Find events that do not add up with the judge's wall clock: a candidate may have tampered with them.

    Too little beside them is as bad as too much: the flush may have been left out. Averaged as the times are:
    a median would not see what is hidden in fewer than half of the samples.
    """
    excess = statistics.fmean(_excess_ms(one) for one in measured)
    samples = (sample for one in measured for sample in one.samples)
    wall_ms = statistics.median(sample.wall_ms for sample in samples if sample.arm == ACCEPTED)
    allowed = MAX_OVERHEAD_MS + MAX_OVERHEAD_SHARE * wall_ms
    if not abs(excess) <= allowed:
        detail = (
            f"wall clock less events is {excess:+.3f} ms off the accepted kernel's, allowed {allowed:.3f} ms"
        )
        return conclude(Outcome.INVALID, "timer-disagrees", detail)
    return None


def _excess_ms(one: Measured) -> float:
    """Return the overhead of the candidate's samples over the accepted kernel's, block by block."""
    blocks: dict[int, dict[str, list[float]]] = {}
    for sample in one.samples:
        blocks.setdefault(sample.block, {}).setdefault(sample.arm, []).append(sample.overhead_ms)
    contrasts = [
        statistics.fmean(arms[CANDIDATE]) - statistics.fmean(arms[ACCEPTED]) for arms in blocks.values()
    ]
    return float(stats.trim_mean(contrasts, TRIMMED_SHARE))
