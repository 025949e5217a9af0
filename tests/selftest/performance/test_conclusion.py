"""What made-up samples come to: verdict, remarks and the record that would follow."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.kernels import Kernels
from kernelgate.baselines.records import Accepted, SpeedRecord
from kernelgate.baselines.store import load_speed
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, Health
from kernelgate.machine.versions import Provenance
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance import conclusion as performance
from kernelgate.performance.conclusion import Conditions, conclude_performance, propose_record
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm, MeasuredReplicate, Reading, Sample, TimedAnswer
from kernelgate.performance.stage import propose_speed
from kernelgate.verdict import Outcome, Reason, Rule, conclude
from tests.selftest.support.project_settings import LAWS, PERFORMANCE

SHA = "a" * 64
GPU = Gpu(name="NVIDIA H200", uuid="GPU-0", capability=90, driver="580", l2_bytes=50 * 2**20)
HEALTH = Health(sm_clock_mhz=1980, temperature_c=50, throttled=(), foreign_processes=0)
TYPICAL_MS = {
    Arm.CANDIDATE: 1.80,
    Arm.ACCEPTED: 1.80,
    Arm.CONTROL: 1.80,
    Arm.ORIGINAL: 2.25,
    Arm.VENDOR: 2.00,
}
CHOSEN = dict.fromkeys(Arm, ("conv: 32/64/32, 4 warps, 2 stages",))
SETTINGS = msgspec.structs.replace(PERFORMANCE, looks=(4, 6, 8), blocks=4, launches=3)
ENVIRONMENT = Provenance(python="3.11", torch="2.11", triton="3.6", cuda="13", cudnn="9", driver="580")
JITTER = (-3e-4, 1e-4, -1e-4, 3e-4)
"""By how much ln of the candidate's and the original's times differs in each of four processes."""


@pytest.fixture(autouse=True)
def answers_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the judging of timed answers, which needs a GPU."""
    monkeypatch.setattr(performance, "judge_answers", lambda *_: None)


def make_measured(
    index: int, times_ms: Mapping[str, float], chosen: Mapping[str, Any], health: Health
) -> MeasuredReplicate:
    """Return a replicate in which block and slot leave their mark on every arm alike."""
    samples = []
    for block in range(SETTINGS.blocks):
        for slot, arm in enumerate((*Arm, *reversed(Arm))):
            jitter = JITTER[index] if arm in (Arm.CANDIDATE, Arm.ORIGINAL, Arm.VENDOR) else 0.0
            time_ms = times_ms[arm] * math.exp(0.01 * block + jitter)
            times = (time_ms,) * SETTINGS.launches
            samples.append(
                Sample(
                    attempt=1,
                    replicate=index,
                    block=block,
                    slot=slot,
                    arm=arm,
                    seed=0,
                    times_ms=times,
                    wall_ms=sum(times) + 1.0,
                )
            )
    return MeasuredReplicate(
        samples=tuple(samples),
        chosen=dict(chosen),
        readings=tuple(Reading(block=b, arm=Arm.CANDIDATE, health=health) for b in range(SETTINGS.blocks)),
        answers=(TimedAnswer(parameters=0, contents=0, places=0, bits=None),),
    )


def make_record(**changes: Any) -> SpeedRecord:
    record = SpeedRecord(
        operation=ALEXNET_CONV1.name,
        gpu=GPU.name,
        kernel_sha256=SHA,
        batch=256,
        environment=ENVIRONMENT,
        log_ratio_original=math.log(TYPICAL_MS[Arm.ACCEPTED] / TYPICAL_MS[Arm.ORIGINAL]),
        log_ratio_vendor=math.log(TYPICAL_MS[Arm.ACCEPTED] / TYPICAL_MS[Arm.VENDOR]),
        error_original=0.0004,
        error_vendor=0.0005,
        process_sd=0.0006,
        replicates=4,
        time_ms=dict(TYPICAL_MS),
        history=(),
    )
    return msgspec.structs.replace(record, **changes)


def measure(times_ms: Mapping[str, float] | None = None, health: Health = HEALTH) -> list[MeasuredReplicate]:
    times = {**TYPICAL_MS, **(times_ms or {})}
    return [make_measured(index, times, CHOSEN, health) for index in range(4)]


def finish(
    measured: list[MeasuredReplicate],
    record: SpeedRecord | None,
    rule: Rule = Rule.TUNE,
    environment: Provenance = ENVIRONMENT,
) -> Performance:
    return conclude_performance(make_conditions(record, rule, environment), measured, seconds=12.0)


RECORDS = RecordFolder(root=Path("project"), name="alexnet_conv1")


def make_conditions(
    record: SpeedRecord | None, rule: Rule = Rule.TUNE, environment: Provenance = ENVIRONMENT
) -> Conditions:
    return Conditions(
        operation=ALEXNET_CONV1,
        gpu=GPU,
        rule=rule,
        settings=SETTINGS,
        laws=LAWS,
        record=record,
        environment=environment,
        records=RECORDS,
    )


@pytest.mark.parametrize(
    ("time_ms", "rule", "outcome"),
    [
        (1.80 * 0.95, Rule.TUNE, Outcome.KEEP),
        (1.80 * 0.985, Rule.TUNE, Outcome.KEEP),
        (1.80 * 0.995, Rule.TUNE, Outcome.REVERT),
        (1.80, Rule.TUNE, Outcome.REVERT),
        (1.80 * 1.03, Rule.TUNE, Outcome.REGRESSED),
        (1.80 * 0.95, Rule.GUARD, Outcome.NO_REGRESSION),
        (1.80, Rule.GUARD, Outcome.NO_REGRESSION),
        (1.80 * 1.03, Rule.GUARD, Outcome.REGRESSED),
    ],
)
def test_the_rule_table_answers_the_planted_time(time_ms: float, rule: Rule, outcome: Outcome) -> None:
    """With a record that agrees, only candidate against accepted decides; the band is the settings'."""
    result = finish(measure({Arm.CANDIDATE: time_ms}), make_record(), rule)
    assert (result.verdict.outcome, result.band) == (outcome, (0.01, 0.02))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("rule", list(Rule))
def test_without_a_record_nothing_passes(factor: float, rule: Rule) -> None:
    """A proven gain is told in the detail, and is no pass."""
    verdict = finish(measure({Arm.CANDIDATE: 1.8 * factor}), None, rule).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.NO_BASELINE, "no-record")
    assert not verdict.outcome.passes
    assert verdict.detail.startswith("NVIDIA H200 has no record; measured here: ")


@pytest.mark.parametrize(("drift", "fine"), [(0.019, True), (-0.019, True), (0.021, False), (-0.021, False)])
def test_an_accepted_kernel_off_its_record_makes_the_run_invalid(drift: float, fine: bool) -> None:
    """Over 2 % either way the machine is another; the candidate's gain proves nothing against the record."""
    stored = make_record(log_ratio_original=make_record().log_ratio_original - drift)
    verdict = finish(measure({Arm.CANDIDATE: 1.7}), stored).verdict
    if fine:
        assert verdict.outcome is Outcome.KEEP
    else:
        assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "environment-changed")
        assert f"{100 * drift:+.2f} % off its record" in verdict.detail
        assert "no version differs" in verdict.detail


def test_many_small_losses_are_a_regression() -> None:
    """Slower by 2.5 % than the best kernel ever accepted, though not slower than the last one."""
    best = Accepted(
        date="2026-01-31",
        reason="the best",
        kernel_sha256=SHA,
        log_ratio_original=make_record().log_ratio_original - 0.025,
        error_original=0.0004,
    )
    verdict = finish(measure(), make_record(history=(best,)), Rule.GUARD).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.REGRESSED, "creep")
    wins = finish(measure({Arm.CANDIDATE: 1.7}), make_record(history=(best,))).verdict
    assert wins.outcome is Outcome.KEEP


def test_a_record_that_is_off_beyond_chance_is_remarked() -> None:
    """Under 2 % it is no other machine, but worth a look."""
    stored = make_record(log_ratio_original=make_record().log_ratio_original - 0.01)
    (remark,) = finish(measure({Arm.CANDIDATE: 1.7}), stored).remarks
    assert "took 1.00 % more time than by its record" in remark
    faster = make_record(log_ratio_original=make_record().log_ratio_original + 0.01)
    (remark,) = finish(measure({Arm.CANDIDATE: 1.7}), faster).remarks
    assert "took 1.00 % less time than by its record" in remark


def test_versions_that_changed_are_named_where_the_environment_did() -> None:
    """The driver is the first thing to look at."""
    stored = make_record(log_ratio_original=-1.0)
    now = msgspec.structs.replace(ENVIRONMENT, driver="590", triton="3.7")
    verdict = finish(measure(), stored, environment=now).verdict
    assert "other versions of triton, driver" in verdict.detail


def test_what_cannot_be_trusted_comes_before_everything() -> None:
    """A throttled GPU is told even where there is no record."""
    slowed = msgspec.structs.replace(HEALTH, throttled=("hardware slowdown",))
    for record in (None, make_record()):
        verdict = finish(measure({Arm.CANDIDATE: 1.5}, slowed), record).verdict
        assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "throttled")


def test_a_wrong_timed_answer_comes_before_the_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast and wrong is WRONG."""
    wrong = conclude(Outcome.WRONG, Reason.TIMED_ANSWER, "an element is off")
    monkeypatch.setattr(performance, "judge_answers", lambda *_: wrong)
    for record in (None, make_record()):
        assert finish(measure({Arm.CANDIDATE: 1.5}), record).verdict == wrong
        assert finish(measure({Arm.CANDIDATE: 1.5, Arm.CONTROL: 1.83}), record).verdict == wrong, (
            "nor is it tried again"
        )


def test_the_answers_of_every_replicate_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that were fetched, in their order."""
    seen: list[TimedAnswer] = []
    monkeypatch.setattr(performance, "judge_answers", lambda _operation, answers, _laws: seen.extend(answers))
    measured = measure()
    finish(measured, make_record())
    assert seen == [answer for one in measured for answer in one.answers]
    assert len(seen) == len(measured)


def test_a_control_off_zero_makes_the_run_unstable() -> None:
    """The accepted kernel against itself is part of the verdict."""
    verdict = finish(measure({Arm.CANDIDATE: 1.78, Arm.CONTROL: 1.83}), make_record()).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.UNSTABLE, "control-offset")


def test_an_honest_run_needs_no_remark() -> None:
    """The run that the planted remarks start from has none."""
    assert finish(measure(), make_record()).remarks == ()


def test_changed_versions_are_remarked_though_the_speed_did_not_change() -> None:
    """The record is still good, and a person may want to renew it."""
    now = msgspec.structs.replace(ENVIRONMENT, cudnn="9.9")
    result = finish(measure({Arm.CANDIDATE: 1.7}), make_record(), environment=now)
    assert result.remarks == ("versions differ from the record's: cudnn",)
    assert result.verdict.outcome is Outcome.KEEP


@pytest.mark.parametrize("arm", [Arm.CANDIDATE, Arm.ACCEPTED])
def test_an_autotuner_that_chose_differently_is_remarked(arm: str) -> None:
    """Processes of one kernel that run different configurations are told."""
    measured = measure()
    other = {**CHOSEN, arm: ("conv: 32/64/32, 8 warps, 2 stages",)}
    measured[2] = msgspec.structs.replace(measured[2], chosen=other)
    result = finish(measured, make_record())
    assert result.remarks == (f"the autotuner of {arm} chose 2 ways in 4 processes",)
    assert len(result.chosen[arm]) == 2


def test_a_gpu_that_hides_its_processes_is_remarked() -> None:
    """Unknown is not alone."""
    hidden = msgspec.structs.replace(HEALTH, foreign_processes=None)
    (remark,) = finish(measure(health=hidden), make_record()).remarks
    assert "unknown" in remark


def test_each_contrast_is_of_its_own_arms() -> None:
    """No two of them are mixed up, and drift common to all arms is in none."""
    result = finish(measure({Arm.CANDIDATE: 1.7}), make_record())
    ratios = {
        "candidate": 1.7 / 1.8,
        "control": 1.0,
        "candidate_to_original": 1.7 / 2.25,
        "candidate_to_vendor": 1.7 / 2.0,
        "accepted_to_original": 1.8 / 2.25,
        "accepted_to_vendor": 1.8 / 2.0,
    }
    for name, ratio in ratios.items():
        assert getattr(result, name).estimate == pytest.approx(math.log(ratio), abs=1e-9)
    assert result.time_ms[Arm.VENDOR] == pytest.approx(2.0 * math.exp(0.015), rel=1e-3)
    assert result.sm_clock_mhz == (1980, 1980)


@pytest.mark.parametrize(("arm", "time_ms"), [(Arm.CANDIDATE, 1.7), (Arm.ACCEPTED, 1.8)])
def test_a_proposed_record_has_the_ratios_of_its_arm(arm: str, time_ms: float) -> None:
    """Of the candidate to keep, or of an accepted kernel that has no record."""
    result = finish(measure({Arm.CANDIDATE: 1.7}), None)
    record = propose_record(result, RECORDS, arm, SHA, ENVIRONMENT)
    assert record.log_ratio_original == pytest.approx(math.log(time_ms / 2.25), abs=1e-9)
    assert record.log_ratio_vendor == pytest.approx(math.log(time_ms / 2.0), abs=1e-9)
    assert (record.gpu, record.kernel_sha256, record.replicates) == (GPU.name, SHA, 4)
    assert record.history == ()


def test_the_record_of_a_run_fits_the_run() -> None:
    """What a run proposes of the accepted kernel shows no drift when it is run again."""
    record = propose_record(finish(measure(), None), RECORDS, Arm.ACCEPTED, SHA, ENVIRONMENT)
    assert finish(measure({Arm.CANDIDATE: 1.7}), record).verdict.outcome is Outcome.KEEP


@pytest.mark.parametrize(
    ("time_ms", "recorded", "proposed"),
    [(1.7, True, "c"), (1.8, True, None), (1.9, True, None), (1.8, False, "a"), (1.7, False, "a")],
)
def test_a_record_is_proposed_of_what_would_be_accepted_next(
    tmp_path: Path, time_ms: float, recorded: bool, proposed: str | None
) -> None:
    """Of a candidate to keep; of the accepted kernel where this GPU has no record; else of none."""
    files = {
        name: KernelFile(path=name, sha256=name[0] * 64, source="")
        for name in ("candidate", "accepted", "original")
    }
    record = make_record() if recorded else None
    result = finish(measure({Arm.CANDIDATE: time_ms}), record)
    path = propose_speed(result, Kernels(**files), make_conditions(record), tmp_path)
    if proposed is None:
        assert path is None
        assert not list(tmp_path.iterdir())
    else:
        assert path is not None
        loaded = load_speed(path, operation="alexnet_conv1", gpu=GPU.name, kernel_sha256=proposed * 64)
        assert loaded.replicates == SETTINGS.looks[0]


def test_a_run_that_is_too_noisy_to_judge_makes_no_record() -> None:
    """Without a record an unstable run is still unstable, not a first record."""
    noisy = [
        msgspec.structs.replace(
            one,
            samples=tuple(
                msgspec.structs.replace(
                    sample,
                    times_ms=tuple(
                        t * (1 + 0.01 * index * (sample.arm == Arm.CANDIDATE)) for t in sample.times_ms
                    ),
                )
                for sample in one.samples
            ),
        )
        for index, one in enumerate(measure())
    ]
    result = finish(noisy, None)
    assert result.verdict.outcome is Outcome.UNSTABLE
