"""Raw samples survive their file, and say the same verdict again."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.cli.main import main
from kernelgate.machine.gpu import GpuError
from kernelgate.performance import stage as performance_stage
from kernelgate.performance.conclusion import decide_look
from kernelgate.performance.samples import Arm, TimedAnswer
from kernelgate.performance.samples_file import FIRST_SETTINGS, SamplesError, read_samples
from kernelgate.performance.stage import keep_samples, measure_performance, replay
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, Rule, Verdict, conclude
from tests.selftest.support.made_up_samples import CONDITIONS, make_replicates
from tests.selftest.support.project_settings import PERFORMANCE

GAIN = (-0.03, -0.031, -0.029, -0.03)
UNDECIDED = (-0.026, -0.004) * 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file of a timing that was tried twice."""
    attempts = [make_replicates(UNDECIDED), make_replicates(GAIN, attempt=2)]
    return keep_samples(CONDITIONS, attempts, tmp_path / "report")


def test_samples_come_back_as_they_were(file: Path) -> None:
    """With what was timed, in the order of the attempts."""
    timing, (first, second) = read_samples(file)
    assert (timing.rule, timing.settings, timing.gpu) == (Rule.TUNE, PERFORMANCE, CONDITIONS.gpu)
    assert first == make_replicates(UNDECIDED)
    assert second == make_replicates(GAIN, attempt=2)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_replay_says_what_the_last_attempt_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same rules as then."""
    verdict, (candidate, control) = replay(file)
    assert verdict == decide_look(CONDITIONS, make_replicates(GAIN, attempt=2))
    assert verdict.outcome is Outcome.KEEP
    assert (len(candidate.replicates), control.estimate) == (4, 0.0)
    assert main(["replay", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("KEEP  (proven-gain)")
    assert "candidate to accepted: gain 2.96 %" in said


def edited(file: Path, number: int, **changes: Any) -> bytes:
    """Return the file's bytes with fields of one line changed, or the line gone."""
    lines = file.read_bytes().splitlines()
    lines[number] = msgspec.json.encode({**msgspec.json.decode(lines[number]), **changes})
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("number", "changes", "says"),
    [
        (0, {"schema": "kernelgate.samples/3"}, "line 1: Invalid enum value 'kernelgate.samples/3'"),
        (0, {"rule": "win"}, "line 1: Invalid enum value 'win'"),
        (0, {"settings": {}}, "line 1: Object missing required field"),
        (0, {"operation": "conv9"}, "conv9"),
        (0, {"type": "sample"}, "line 1: "),
        (1, {"type": "timing"}, "line 2: "),
        (1, {"replicate": 7}, "line 3 is of a replicate that no line before it names"),
        (2, {"times_ms": [0.0]}, "line 3: Expected `float` > 0.0"),
        (2, {"times_ms": []}, "line 3: Expected `array` of length >= 1"),
        (2, {"wall_ms": 1e300}, "line 3: Expected `float` <= 1000000000.0"),
        (2, {"attempt": 3}, "line 3 is of a replicate that no line before it names"),
        (-1, {"arm": "stranger"}, "stranger"),
        (2, {"more": 1}, "line 3: Object contains unknown field `more`"),
    ],
)
def test_a_file_that_is_no_record_of_samples_is_refused(
    file: Path, number: int, changes: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the line at fault, on one line of standard error, and with exit code 1."""
    file.write_bytes(edited(file, number, **changes))
    assert main(["replay", str(file)]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\n", "line 1: "),
        (b"not json\n", "line 1: "),
        (b'{"type": "timing", "schema": NaN}\n', "line 1: "),
        (b"[" * 100_000, "line 1: "),
    ],
    ids=["empty", "bytes", "text", "nan", "nested"],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """Neither is a file that is not there."""
    file = tmp_path / "samples.jsonl"
    with pytest.raises(SamplesError, match="No such file"):
        read_samples(file)
    file.write_bytes(content)
    with pytest.raises(SamplesError, match=says):
        read_samples(file)


def test_a_header_alone_holds_no_sample(file: Path) -> None:
    """Nothing can be said of nothing."""
    file.write_bytes(file.read_bytes().splitlines()[0])
    with pytest.raises(SamplesError, match="holds no sample"):
        read_samples(file)


def test_too_few_replicates_say_nothing(file: Path) -> None:
    """A file cut short is an error, not a verdict."""
    timing, (_, second) = read_samples(file)
    keep_samples(CONDITIONS, [second[:3]], file.parent)
    assert timing.settings == PERFORMANCE
    with pytest.raises(SamplesError, match="too few replicates"):
        replay(file)


@pytest.mark.parametrize(
    ("first", "second", "outcome", "tries"),
    [
        (GAIN, GAIN, Outcome.KEEP, 1),
        (UNDECIDED, GAIN, Outcome.KEEP, 2),
        (UNDECIDED, UNDECIDED, Outcome.UNSTABLE, 2),
        ((0.03,) * 4, GAIN, Outcome.REGRESSED, 1),
        ((0.0,) * 4, GAIN, Outcome.REVERT, 1),
    ],
    ids=["kept", "kept-then", "never-stable", "regressed", "reverted"],
)
def test_only_what_is_unstable_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    first: tuple[float, ...],
    second: tuple[float, ...],
    outcome: Outcome,
    tries: int,
) -> None:
    """And once: the second try stands, and the report says that it was one."""
    slowdowns = iter((first, second))
    monkeypatch.setattr(
        performance_stage, "measure_replicates", lambda *args: make_replicates(next(slowdowns), args[-1])
    )
    monkeypatch.setattr("kernelgate.performance.conclusion.judge_answers", lambda *_: None)
    monkeypatch.setattr(performance_stage.torch.cuda, "empty_cache", lambda: None)
    kernels: Any = type("Kernels", (), {"candidate": None, "accepted": None, "original": None})
    result, attempts = measure_performance(None, kernels, CONDITIONS, lambda: None)  # type: ignore[arg-type]
    assert len(attempts) == tries
    assert attempts[-1][0].samples[0].attempt == tries
    measured = result.verdict.detail if outcome is not Outcome.UNSTABLE else str(result.verdict)
    assert outcome in (result.verdict.outcome, *measured.replace(",", " ").replace(";", " ").split())
    assert any("tried again" in remark for remark in result.remarks) == (tries == 2)


@pytest.mark.parametrize("is_right", [False, True])
def test_answers_that_are_right_are_not_judged_again(monkeypatch: pytest.MonkeyPatch, is_right: bool) -> None:
    """They are judged while the next processes get ready; a wrong one is kept for the verdict."""
    judged: list[Any] = []
    wrong = conclude(Outcome.WRONG, Reason.TIMED_ANSWER, "off")

    def judge(_operation: object, answers: Any, _laws: object) -> Verdict | None:
        judged.append(answers)
        return None if is_right or not answers else wrong

    answer = TimedAnswer(parameters=1, contents=2, places=3, bits=None)
    measured = [msgspec.structs.replace(one, answers=(answer,)) for one in make_replicates(GAIN, 1)]
    for place in ("stage", "conclusion"):
        monkeypatch.setattr(f"kernelgate.performance.{place}.judge_answers", judge)
    monkeypatch.setattr(performance_stage, "measure_replicates", lambda *args: [*map(args[-2], measured)])
    monkeypatch.setattr(performance_stage.torch.cuda, "empty_cache", lambda: None)
    kernels: Any = type("Kernels", (), {"candidate": None, "accepted": None, "original": None})
    result, _ = measure_performance(None, kernels, CONDITIONS, lambda: None)  # type: ignore[arg-type]
    assert judged[: len(measured)] == [(answer,)] * len(measured)
    assert judged[-1] == ([] if is_right else [answer] * len(measured))
    assert (result.verdict == wrong) is not is_right


@pytest.mark.parametrize("lost", [False, True])
def test_a_gpu_that_falls_off_is_no_arms_fault(monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    """Whichever arm was on it; on a GPU that answers, the arm is named."""

    def fail(*_: object) -> None:
        raise WorkerFault(FaultKind.RAISES, "CUDA error: unspecified launch failure", Arm.CANDIDATE)

    def read(*_: object) -> None:
        if lost:
            raise GpuError("NVML has lost the GPU")

    monkeypatch.setattr(performance_stage, "measure_replicates", fail)
    monkeypatch.setattr(performance_stage, "read_health", read)
    monkeypatch.setattr(performance_stage.torch.cuda, "empty_cache", lambda: None)
    kernels: Any = type("Kernels", (), {"candidate": None, "accepted": None, "original": None})
    with pytest.raises(GpuError if lost else WorkerFault):
        measure_performance(None, kernels, CONDITIONS, lambda: None)  # type: ignore[arg-type]


def test_the_samples_of_a_candidate_are_told_from_the_others(file: Path) -> None:
    """By the name of the arm, in every block."""
    _, (first, _) = read_samples(file)
    assert sum(sample.arm == Arm.CANDIDATE for sample in first[0].samples) == 2 * len(
        {sample.block for sample in first[0].samples}
    )


def as_first_written(file: Path) -> dict[str, Any]:
    """Return the first line as files of the first schema have it: fewer settings, and no laws."""
    head = msgspec.json.decode(file.read_bytes().splitlines()[0])
    kept = {key: value for key, value in head["settings"].items() if key not in FIRST_SETTINGS}
    del head["laws"]
    return {**head, "schema": "kernelgate.samples/1", "settings": kept}


def with_head(file: Path, head: dict[str, Any]) -> None:
    _, *rest = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([msgspec.json.encode(head), *rest]))


def test_a_file_of_the_first_schema_is_read_by_what_was_in_the_code_then(file: Path) -> None:
    """Its verdict is the same as ever."""
    said = replay(file)
    with_head(file, as_first_written(file))
    assert replay(file) == said
    then = {"blocks_per_layout": 2, "max_overhead_ms": 0.08, "trimmed_share": 0.1}
    assert read_samples(file)[0].settings == msgspec.structs.replace(PERFORMANCE, **then)


@pytest.mark.parametrize("key", ["trimmed_share", "launches", "laws"])
def test_only_the_first_schema_may_leave_settings_out(file: Path, key: str) -> None:
    """Today's schema names all of them; the first always named how much was timed."""
    head = (
        as_first_written(file)
        if key == "launches"
        else msgspec.json.decode(file.read_bytes().splitlines()[0])
    )
    (head if key == "laws" else head["settings"]).pop(key)
    with_head(file, head)
    with pytest.raises(SamplesError, match=f"missing required field `{key}`"):
        read_samples(file)
