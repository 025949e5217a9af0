"""Each sign of an untrustworthy measurement is found, and a clean one shows none."""

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from kernelgate.machine.gpu import Gpu, Health
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.timing_tensors import draw_offsets
from kernelgate.operations.truth.truth import truth_everywhere
from kernelgate.performance import timed_answers
from kernelgate.performance.roofline import physical_floor_ms
from kernelgate.performance.samples import Arm, MeasuredReplicate, Reading, Sample, TimedAnswer
from kernelgate.performance.timed_answers import judge_answers
from kernelgate.performance.validity import find_invalid
from kernelgate.verdict import Outcome
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.project_settings import PERFORMANCE as OF_THE_PROJECT
from tests.selftest.support.small_convolution import by_name, geometry_of, resize

RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", uuid="GPU-0", capability=89, driver="580", l2_bytes=72 * 2**20)
UNHEARD_OF = msgspec.structs.replace(RTX_4090, name="NVIDIA Unheard-of")
QUIET = Health(sm_clock_mhz=2520, temperature_c=60, throttled=(), foreign_processes=0)
UNKNOWN = Health(sm_clock_mhz=None, temperature_c=None, throttled=(), foreign_processes=None)
LAUNCHES = 7
NO_ANSWER = TimedAnswer(parameters=0, contents=0, places=0, bits=None)

PERFORMANCE = msgspec.structs.replace(OF_THE_PROJECT, max_overhead_ms=0.08)


def make_sample(arm: str, time_ms: float = 2.0, overhead_ms: float = 1.0) -> Sample:
    times = (time_ms,) * LAUNCHES
    wall_ms = sum(times) + overhead_ms
    return Sample(attempt=1, replicate=0, block=0, slot=0, arm=arm, seed=0, times_ms=times, wall_ms=wall_ms)


def make_measured(*samples: Sample, health: tuple[Health, ...] = (QUIET,) * 24) -> MeasuredReplicate:
    return MeasuredReplicate(samples=samples, chosen={}, readings=readings_of(health), answers=())


def readings_of(health: tuple[Health, ...]) -> tuple[Reading, ...]:
    return tuple(Reading(block=block, arm=Arm.CANDIDATE, health=each) for block, each in enumerate(health))


HONEST = make_measured(*map(make_sample, Arm))


def find(*measured: MeasuredReplicate, gpu: Gpu = RTX_4090) -> str | None:
    verdict = find_invalid(ALEXNET_CONV1, measured, gpu, PERFORMANCE)
    assert verdict is None or verdict.outcome is Outcome.INVALID
    return verdict.reason if verdict else None


def with_health(*odd: Health, of: int = 24) -> MeasuredReplicate:
    return msgspec.structs.replace(HONEST, readings=readings_of((*odd, *[QUIET] * (of - len(odd)))))


def with_arm(arm: str, **changes: Any) -> MeasuredReplicate:
    others = [make_sample(each) for each in Arm if each != arm]
    return make_measured(make_sample(arm, **changes), *others)


def test_nothing_speaks_against_a_clean_measurement() -> None:
    """The measurement that the planted faults start from is sound, and so is one that NVML knows less of."""
    assert find(HONEST, HONEST) is None
    assert find(with_health(*[UNKNOWN] * 24)) is None


@pytest.mark.parametrize(("slowed", "reason"), [(2, None), (3, "throttled"), (24, "throttled")])
def test_throttling_counts_over_a_tenth_of_the_readings(slowed: int, reason: str | None) -> None:
    """Of twenty readings two are let pass."""
    throttled = msgspec.structs.replace(QUIET, throttled=("software power cap",))
    assert find(with_health(*[throttled] * slowed, of=max(slowed, 20))) == reason


def test_the_reasons_of_throttling_are_named() -> None:
    """Each once, in order."""
    hot = msgspec.structs.replace(QUIET, throttled=("hardware thermal slowdown",))
    capped = msgspec.structs.replace(QUIET, throttled=("hardware slowdown",))
    verdict = find_invalid(ALEXNET_CONV1, [with_health(*[hot, capped] * 3)], RTX_4090, PERFORMANCE)
    assert verdict is not None
    assert verdict.detail == "6 of 24 readings show hardware slowdown, hardware thermal slowdown"


def test_the_floor_of_a_4090_is_its_traffic() -> None:
    """452 MB at 1008 GB/s; its 54.0 GFLOP at 82.6 TFLOP/s, 0.653 ms, are none: fewer products may do."""
    assert physical_floor_ms(ALEXNET_CONV1, 256, RTX_4090.name) == pytest.approx(0.4481, abs=1e-4)
    assert physical_floor_ms(ALEXNET_CONV1, 256, UNHEARD_OF.name) is None


@pytest.mark.parametrize(("time_ms", "reason"), [(0.6, None), (0.449, None), (0.448, "faster-than-physics")])
def test_a_call_under_the_floor_is_impossible(time_ms: float, reason: str | None) -> None:
    """Just over it is a very good kernel."""
    assert find(with_arm(Arm.CANDIDATE, time_ms=time_ms)) == reason


def test_one_impossible_call_is_enough() -> None:
    """However honest the others look."""
    sample = make_sample(Arm.CANDIDATE)
    quick = msgspec.structs.replace(sample, times_ms=(0.1, *sample.times_ms[1:]))
    assert find(make_measured(*HONEST.samples, quick)) == "faster-than-physics"


def test_a_gpu_whose_peaks_are_not_known_has_no_floor() -> None:
    """No line is made up."""
    assert find(with_arm(Arm.CANDIDATE, time_ms=0.1), gpu=UNHEARD_OF) is None


@pytest.mark.parametrize(
    ("overhead_ms", "reason"),
    [(1.10, None), (1.12, "timer-disagrees"), (0.90, None), (0.88, "timer-disagrees")],
)
def test_events_must_add_up_with_the_wall_clock(overhead_ms: float, reason: str | None) -> None:
    """Allowed beside the accepted kernel's 1 ms: 0.08 ms, and 0.2 % of its 15 ms of wall clock."""
    assert find(with_arm(Arm.CANDIDATE, overhead_ms=overhead_ms)) == reason


@pytest.mark.parametrize(("overhead_ms", "reason"), [(1.10, None), (1.34, None), (1.40, "timer-disagrees")])
def test_a_slow_call_may_be_off_by_a_share_of_its_own_clock(overhead_ms: float, reason: str | None) -> None:
    """It is reverted whatever that hides: here 0.08 ms, and 0.2 % of its 140 ms."""
    assert find(with_arm(Arm.CANDIDATE, time_ms=20.0, overhead_ms=overhead_ms)) == reason


def test_a_fast_call_earns_itself_nothing_by_being_fast() -> None:
    """Beside it the accepted kernel's clock counts."""
    assert find(with_arm(Arm.CANDIDATE, time_ms=0.6, overhead_ms=1.10)) is None
    assert find(with_arm(Arm.CANDIDATE, time_ms=0.6, overhead_ms=1.12)) == "timer-disagrees"


@pytest.mark.parametrize("arm", sorted(set(Arm) - {Arm.CANDIDATE}))
def test_an_impossible_time_is_asked_of_the_candidate_alone(arm: str) -> None:
    """What the gate's own arms take proves nothing of the candidate."""
    assert find(with_arm(arm, time_ms=0.1)) is None


def test_a_candidate_that_reports_half_its_time_is_found() -> None:
    """The wall clock knows what the events left out."""
    half = msgspec.structs.replace(
        make_sample(Arm.CANDIDATE, time_ms=1.0), wall_ms=make_sample(Arm.ACCEPTED).wall_ms
    )
    assert find(make_measured(half, *HONEST.samples[1:])) == "timer-disagrees"


@pytest.mark.parametrize(("hides", "reason"), [(0, None), (3, "timer-disagrees"), (10, "timer-disagrees")])
def test_time_that_is_hidden_now_and_then_is_found(hides: int, reason: str | None) -> None:
    """In one sample of a few blocks: the clock is averaged as the times are."""
    samples = []
    for block in range(12):
        for arm in (*Arm, *Arm):
            sample = msgspec.structs.replace(make_sample(arm), block=block)
            if arm == Arm.CANDIDATE and block < hides and len(samples) % (2 * len(Arm)) < len(Arm):
                sample = msgspec.structs.replace(sample, times_ms=(1.4,) * LAUNCHES)
            samples.append(sample)
    assert find(make_measured(*samples)) == reason


def test_a_time_that_is_no_number_is_no_agreement() -> None:
    """NaN compares false with every limit."""
    assert find(with_arm(Arm.CANDIDATE, overhead_ms=float("nan"))) == "timer-disagrees"


def test_what_cannot_be_trusted_first_is_told_first() -> None:
    """Of a GPU that is throttled no time is worth saying."""
    slowed = msgspec.structs.replace(QUIET, throttled=("hardware slowdown",))
    broken = msgspec.structs.replace(with_arm(Arm.CANDIDATE, time_ms=0.1), readings=readings_of((slowed,)))
    assert find(broken) == "throttled"


def test_a_timed_call_without_an_output_is_wrong() -> None:
    """Speed without an answer is none; nothing is asked of a GPU to say so."""
    verdict = judge_answers(ALEXNET_CONV1, [NO_ANSWER], LAWS)
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == (Outcome.WRONG, "timed-answer")


SMALL = resize(in_size=31, out_channels=4, measured_batch=2)
PLACES = 1000


def draw_x(seed: int) -> torch.Tensor:
    return torch.randn(SMALL.shape_of("x", 2), generator=torch.Generator().manual_seed(seed))


def draw_parameters(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(SMALL.shape_of(name, 1), generator=generator) for name in ("weight", "bias")}


def answer_as(dtype: torch.dtype = torch.float64, places: int = PLACES) -> TimedAnswer:
    """Return the answer to operands that were rounded to a type."""
    inputs = {"x": draw_x(6), **draw_parameters(5)}
    rounded = by_name(inputs["x"].to(dtype).float(), inputs["weight"].to(dtype).float(), inputs["bias"])
    values = truth_everywhere(SMALL, rounded).exact.float().numpy().ravel()
    bits = values[draw_offsets(values.size, places, 9)].view(np.uint32)
    return TimedAnswer(parameters=5, contents=6, places=9, bits=bits)


def spoiled(answer: TimedAnswer, value: float) -> TimedAnswer:
    """Return the answer with its largest element something else."""
    assert answer.bits is not None
    values = answer.bits.view(np.float32).copy()
    values[np.abs(values).argmax()] = value
    return msgspec.structs.replace(answer, bits=values.view(np.uint32))


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the inputs without a GPU."""
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(
        timed_answers, "make_timing_batches", lambda _op, batch, seed: {"x": draw_x(seed)[:batch]}
    )
    monkeypatch.setattr(timed_answers, "make_timing_parameters", lambda _op, seed: draw_parameters(seed))


@pytest.mark.usefixtures("on_the_cpu")
def test_a_timed_answer_is_judged_on_its_own_contents() -> None:
    """The truth at the places that were asked for passes; that of another call is no answer."""
    right = answer_as()
    assert judge_answers(SMALL, [right, right], LAWS) is None
    for change in ({"contents": 7}, {"parameters": 4}, {"places": 8}):
        other = msgspec.structs.replace(right, **change)
        for answers in ([other], [right, other]):
            verdict = judge_answers(SMALL, answers, LAWS)
            assert verdict is not None
            assert (verdict.outcome, verdict.reason) == (Outcome.WRONG, "timed-answer")


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize("algorithm", ["direct", "any"])
def test_a_timed_answer_is_held_to_the_bound_of_the_algorithm_that_is_allowed(algorithm: str) -> None:
    """One element off by four direct bounds may be a fast algorithm's; by a thousand it may not."""
    operation = msgspec.structs.replace(SMALL, algorithm=algorithm)
    right = answer_as(places=100)
    assert right.bits is not None
    largest = float(np.abs(right.bits.view(np.float32)).max())
    bounds = geometry_of(SMALL).reduction * 2.0**-9 * 2 / np.pi
    for times, is_right in ((4, algorithm == "any"), (1000, False)):
        answer = spoiled(right, largest + times * bounds)
        assert (judge_answers(operation, [answer], LAWS) is None) == is_right


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize(
    ("answer", "law"),
    [
        (answer_as(torch.float16), None),
        (answer_as(torch.bfloat16), "rms error is"),
        (spoiled(answer_as(places=100), 1e3), "out["),
        (spoiled(answer_as(places=100), 0.0), "]: got 0, exact"),
    ],
    ids=["as-tf32", "bf16", "one-off", "one-zero"],
)
def test_a_timed_answer_obeys_the_bound_and_the_error_ratio(answer: TimedAnswer, law: str | None) -> None:
    """Either alone is enough: small errors everywhere, or one that is large."""
    verdict = judge_answers(SMALL, [answer], LAWS)
    if law is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert law in verdict.detail
