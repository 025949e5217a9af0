"""The rules that are compared see what is plain, and the pool's arithmetic is right."""

import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks import rates, record
from benchmarks.pool import Pool, load
from benchmarks.rules import PEERS, Call, call_in_looks
from benchmarks.variants import BASE, EXTRA, TILES, make_variant
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.machine.gpu import GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.samples import Arm
from kernelgate.performance.samples_file import SamplesError, Timing
from kernelgate.verdict import Rule
from tests.selftest.support.made_up_samples import CONDITIONS, make_replicates
from tests.selftest.support.project_settings import PERFORMANCE

TIMING = Timing(
    operation=CONDITIONS.operation.name,
    gpu=CONDITIONS.gpu,
    rule=Rule.TUNE,
    settings=PERFORMANCE,
    laws=CONDITIONS.laws,
    environment=CONDITIONS.environment,
)


def make_pool(shifts: dict[str, float], sd: float = 0.001, replicates: int = 40) -> Pool:
    """Return a pool in which each arm is off the accepted kernel by a log-ratio."""
    chance = np.random.default_rng(3)
    contrasts = {arm: chance.normal(shift, sd, replicates) for arm, shift in shifts.items()}
    calls = {
        arm: 2.0 * np.exp(shift + chance.normal(0, 0.005, (replicates, 8, 6)))
        for arm, shift in {**shifts, Arm.ACCEPTED: 0.0}.items()
    }
    return Pool(
        settings=PERFORMANCE,
        contrasts=contrasts,
        calls=calls,
        seconds=np.ones(replicates),
        control_blocks=np.zeros((replicates, 4)),
    )


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("shift", "call"), [(0.1, "slower"), (-0.1, "faster")])
def test_every_peer_finds_ten_percent(peer: str, shift: float, call: str) -> None:
    """In either direction, and calls a kernel the same as itself where its rule has a line."""
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: shift})
    candidate, accepted, control = (
        np.concatenate(pool.calls[arm][:4]) for arm in (Arm.CANDIDATE, Arm.ACCEPTED, Arm.CONTROL)
    )
    assert PEERS[peer](candidate, accepted) == call
    if peer.removeprefix("benchstat, ") != "alpha 0.05":
        assert PEERS[peer](control, accepted) == "same"


@pytest.mark.parametrize(
    ("rule", "shift", "call"),
    [
        (Rule.TUNE, 0.0, "same"),
        (Rule.GUARD, 0.0, "same"),
        (Rule.TUNE, -0.03, "faster"),
        (Rule.TUNE, -0.02, "faster"),
        (Rule.TUNE, 0.02, "slower"),
        (Rule.GUARD, 0.02, "slower"),
        (Rule.GUARD, -0.03, "same"),
    ],
)
def test_the_gate_calls_what_its_table_says(rule: Rule, shift: float, call: str) -> None:
    """At the first look, where replicates vary by a tenth of a percent."""
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: shift})
    values = [pool.contrasts[arm].tolist() for arm in (Arm.CANDIDATE, Arm.CONTROL)]
    assert call_in_looks(values[0], values[1], PERFORMANCE, rule) == (call, 4)


def test_noise_is_unstable_after_the_last_look() -> None:
    """Nothing is called that the table does not call."""
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: 0.005}, sd=0.02)
    values = [pool.contrasts[arm].tolist() for arm in (Arm.CANDIDATE, Arm.CONTROL)]
    assert call_in_looks(values[0], values[1], PERFORMANCE, Rule.GUARD) == ("unstable", PERFORMANCE.looks[-1])


def test_decisions_share_no_replicate() -> None:
    """Forty replicates are ten decisions of four."""
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: 0.02})
    assert rates.once_each(pool, Arm.CANDIDATE, Rule.TUNE) == {"slower": 10}
    noisy = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: 0.005}, sd=0.02, replicates=25)
    assert rates.once_each(noisy, Arm.CANDIDATE, Rule.GUARD) == {"unstable": 2}
    again, used = rates.redrawn(pool, Arm.CANDIDATE, Rule.TUNE, 50)
    assert (again, used) == ({"slower": 50}, 4.0)


@pytest.mark.parametrize(("count", "total", "high"), [(0, 100, 0.0362), (0, 3000, 0.00123)])
def test_shares_have_exact_intervals(count: int, total: int, high: float) -> None:
    """None of a hundred still allows 3.6 %."""
    assert rates.exact_interval(count, total) == (0.0, pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.xz"])
def test_a_pool_is_what_was_recorded(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replicate by replicate, over several files; and the report of it can be printed."""
    monkeypatch.setattr(rates, "REDRAWN", 50)
    monkeypatch.setattr(rates, "PEER_REDRAWN", 5)
    files = [tmp_path / f"{sitting}-{name}" for sitting in (1, 2)]
    for file in files:
        replicates = make_replicates((0.02, 0.021, 0.019, 0.02, 0.02))
        record.append(TIMING, replicates[:4], file)
        record.append(TIMING, replicates[4:], file)
    pool = load(files)
    assert pool.replicates == 10
    assert pool.contrasts[Arm.CANDIDATE] == pytest.approx([0.02, 0.021, 0.019, 0.02, 0.02] * 2, abs=1e-5)
    assert pool.calls[Arm.ACCEPTED].shape == (10, 8, 3)
    assert pool.seconds[0] == pytest.approx(8 * (3 * 0.002 + 0.001), rel=0.01)
    assert pool.control_blocks == pytest.approx(np.zeros((10, 4)))
    assert rates.main([str(file) for file in files]) == 0
    report = capsys.readouterr().out
    assert "| candidate | +2.00" in report
    edges = set(pool.moved_to(math.log1p(-0.01)).moved_to(math.log1p(0.01)).arms) - set(pool.arms)
    assert [report.count(f"| {arm} |") for arm in edges] == [4, 4], "by either rule, and by peers twice"
    assert "of an arm, 4: " in report
    assert "of an arm, 1: " in report


def test_an_arm_is_moved_to_the_line_that_it_is_nearest_to() -> None:
    """Contrasts and calls by the same; the others stay, and arms are told from fast to slow."""
    pool = make_pool({Arm.CONTROL: 0.0, "slower-1": 0.0102, Arm.CANDIDATE: 0.001, "faster-1": -0.011})
    assert pool.arms == ("faster-1", Arm.CANDIDATE, "slower-1")
    moved = pool.moved_to(0.01)
    (name,) = moved.contrasts.keys() - pool.contrasts.keys()
    assert name.startswith("slower-1, moved by -0.0")
    assert moved.contrasts[name].mean() == pytest.approx(0.01)
    assert np.std(moved.contrasts[name]) == pytest.approx(np.std(pool.contrasts["slower-1"]))
    shift = moved.contrasts[name][0] - pool.contrasts["slower-1"][0]
    assert np.log(moved.calls[name] / pool.calls["slower-1"]) == pytest.approx(shift)


def test_peers_see_as_many_processes_as_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls of each, one process after the other."""
    seen: list[int] = []

    def rule(candidate: np.ndarray, accepted: np.ndarray) -> Call:
        assert len(candidate) == len(accepted)
        seen.append(len(candidate))
        return "same"

    monkeypatch.setattr(rates, "PEERS", {"any": rule})
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: 0.0})
    for processes in (1, 4):
        assert rates.peers(pool, Arm.CANDIDATE, processes, 2) == {"any": {"same": 2}}
    assert seen == [8, 8, 32, 32]


def test_peers_see_processes_that_ran_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of candidate and accepted kernel the same ones, drawn anew for each decision."""
    drawn: list[tuple[float, ...]] = []

    def rule(candidate: np.ndarray, accepted: np.ndarray) -> Call:
        assert np.array_equal(candidate, accepted)
        drawn.append(tuple(np.unique(candidate)))
        return "same"

    monkeypatch.setattr(rates, "PEERS", {"any": rule})
    pool = make_pool({Arm.CONTROL: 0.0, Arm.CANDIDATE: 0.0})
    by_process = np.broadcast_to(np.arange(40.0)[:, None, None], (40, 8, 6))
    numbered = msgspec.structs.replace(pool, calls=dict.fromkeys(pool.calls, by_process))
    rates.peers(numbered, Arm.CANDIDATE, 4, 20)
    assert {len(processes) for processes in drawn} == {4}
    assert len(set(drawn)) > 10


def test_files_of_other_settings_make_no_pool(tmp_path: Path) -> None:
    """Nor do files that hold no samples."""
    record.append(TIMING, make_replicates((0.0,) * 4), tmp_path / "one.jsonl")
    other = msgspec.structs.replace(TIMING, settings=msgspec.structs.replace(PERFORMANCE, blocks=14))
    record.append(other, make_replicates((0.0,) * 4), tmp_path / "other.jsonl")
    with pytest.raises(SamplesError, match="other settings"):
        load([tmp_path / "one.jsonl", tmp_path / "other.jsonl"])
    (tmp_path / "broken.xz").write_bytes(b"no archive")
    assert rates.main([str(tmp_path / "broken.xz")]) == 1


@pytest.mark.parametrize("arm", EXTRA)
def test_variants_are_kernel_files_that_launch_more_or_fewer_programs(tmp_path: Path, arm: str) -> None:
    """None fewer than there are tiles, and nothing else differs."""
    kernel = make_variant(arm, tmp_path)
    assert check_format(kernel, ALEXNET_CONV1) == find_reaches(kernel) == ()
    assert f"{TILES} * {10_000 + EXTRA[arm]} // 10_000" in kernel.source
    assert kernel.source.count("triton.Config(") == 1
    assert EXTRA[arm] >= 0
    assert (EXTRA[arm] > BASE) == arm.startswith("slower")


def test_a_replicate_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it ends, from the fourth on."""
    every = make_replicates((0.02, 0.021, 0.019, 0.02, 0.018, 0.022))
    lengths: list[int] = []

    def measure(*args: Any) -> None:
        for end in range(4, 7):
            assert not args[4](every[:end]), "no look decides"
            lengths.append(load([tmp_path / "new.jsonl"]).replicates)

    sandbox = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(record, "find_gpu", lambda: CONDITIONS.gpu)
    monkeypatch.setattr(record, "locked", lambda _gpu: nullcontext())
    monkeypatch.setattr(record, "compile_kernels", lambda *_: None)
    monkeypatch.setattr(record, "Sandbox", lambda *_: sandbox)
    monkeypatch.setattr(record, "measure_replicates", measure)
    record.record(tmp_path / "new.jsonl", 6)
    assert lengths == [4, 5, 6]
    contrasts = load([tmp_path / "new.jsonl"]).contrasts[Arm.CANDIDATE]
    assert contrasts == pytest.approx([0.02, 0.021, 0.019, 0.02, 0.018, 0.022], abs=1e-5)


def test_recording_needs_a_gpu_and_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded is never written over."""

    def find_none() -> None:
        raise GpuError("no NVIDIA GPU")

    monkeypatch.setattr(record, "find_gpu", find_none)
    assert record.main([str(tmp_path / "new.jsonl")]) == 1
    (tmp_path / "old.jsonl").write_text("kept", encoding="utf-8")
    assert record.main([str(tmp_path / "old.jsonl")]) == 1
    assert (tmp_path / "old.jsonl").read_text(encoding="utf-8") == "kept"


@pytest.fixture(scope="module")
def recorded() -> Pool:
    """Return the pool that was recorded on GPUs and is kept beside the benchmarks."""
    return load(sorted((Path(rates.__file__).parent / "samples").glob("*.jsonl.xz")))


def test_the_recorded_pool_is_what_the_docs_speak_of(recorded: Pool) -> None:
    """All arms of the variants, and each within a twentieth of a percent of what its name says."""
    assert recorded.replicates == 242
    assert {*recorded.arms, Arm.ACCEPTED, Arm.CONTROL} == EXTRA.keys()
    for arm in recorded.arms:
        kind, _, percent = arm.partition("-")
        meant = {"faster": -1, "slower": 1}.get(kind, 0) * float(percent or 0)
        assert 100 * recorded.contrasts[arm].mean() == pytest.approx(meant, abs=0.06)


@pytest.mark.parametrize("rule", Rule)
def test_no_recorded_decision_is_false(recorded: Pool, rule: Rule) -> None:
    """Replicates used once each: nothing called of the kernel itself, every loss and gain of 2 % found."""
    for arm in recorded.arms:
        calls = rates.once_each(recorded, arm, rule)
        if arm in ("slower-2", "slower-3"):
            assert calls == {"slower": 60}
        elif arm in ("faster-2", "faster-3") and rule is Rule.TUNE:
            assert calls == {"faster": 60}
        elif arm not in ("slower-1", "faster-1"):
            assert calls == {"same": 60}


def test_a_pool_can_be_decided_by_other_settings(tmp_path: Path) -> None:
    """Replicates end after so many blocks, and are trimmed as is wanted; more than there are is an error."""
    file = tmp_path / "samples.jsonl"
    record.append(TIMING, make_replicates((0.02, 0.021, 0.019, 0.02)), file)
    wanted = msgspec.structs.replace(TIMING.settings, blocks=2, trimmed_share=0.0)
    pool = load([file], wanted)
    assert pool.settings == wanted
    assert pool.control_blocks.shape == (4, 2)
    assert pool.calls[Arm.ACCEPTED].shape == (4, 4, 3)
    for other in ({"blocks": TIMING.settings.blocks + 2}, {"launches": TIMING.settings.launches + 1}):
        with pytest.raises(SamplesError, match="other calls or fewer blocks"):
            load([file], msgspec.structs.replace(TIMING.settings, **other))
