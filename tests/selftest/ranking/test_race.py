"""A race with workers that only pretend to compute: who is timed, judged, dropped, and how it ends."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate import protocol
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import GpuError
from kernelgate.performance import replicate
from kernelgate.performance.decision.log_ratio import summarise
from kernelgate.performance.samples import Arm
from kernelgate.ranking import race as racing
from kernelgate.ranking.elimination import Ended, confidence_of_pair
from kernelgate.ranking.race import Race, RankError
from kernelgate.ranking.standing import control_of, describe_end, list_faults, rank_race, typical_ms
from kernelgate.sandbox.faults import FaultKind
from kernelgate.verdict import Outcome, Reason, conclude
from tests.selftest.performance.test_replicate import GPU, SETTINGS, make_timed
from tests.selftest.support.made_up_track import HEALTHY, Track, pretend_track

LOOKS = SETTINGS.performance.looks


def make_kernel(name: str) -> KernelFile:
    return KernelFile(path=f"{name}.py", sha256=name * 64, source="")


ACCEPTED = make_kernel("0")


@pytest.fixture
def track(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Track:
    """Give a track of four kernels: a and b are as fast, c is 1 % slower than they, d 3 %."""
    return pretend_track(Track(tmp_path, {"a": 1.0, "b": 1.0, "c": 1.01, "d": 1.03}), monkeypatch)


def make_race(track: Any, names: str, accepted: KernelFile | None = ACCEPTED, **settings: Any) -> Race:
    performance = msgspec.structs.replace(SETTINGS.performance, **settings)
    whole = msgspec.structs.replace(SETTINGS, performance=performance)
    return Race(track, [make_kernel(name) for name in names], accepted, GPU, whole, {})


def run(track: Track, names: str, **settings: Any) -> Race:
    race = make_race(track, names, **settings)

    def tick() -> None:
        track.number = len(race.measured)

    race.run(tick)
    assert all(worker.closed for worker in track.started)
    return race


def names_of(race: Race) -> list[tuple[str, str]]:
    return [(each.label, each.file) for each in rank_race(race, {})]


def test_those_of_the_same_speed_tie_and_what_is_slower_leaves(track: Track) -> None:
    """All of it after the first look; the places say by how many each is proven to be beaten."""
    race = run(track, "dcba")
    assert race.ended is Ended.TIE
    assert sorted(names_of(race)[:2]) == [("1=", "a.py"), ("1=", "b.py")]
    assert names_of(race)[2:] == [("3", "c.py"), ("4", "d.py")]
    assert len(race.measured) == LOOKS[0]
    assert describe_end(race) == "2 kernels are proven to differ by less than 1 % in 4 replicates"


def test_the_figures_are_those_that_were_planted(track: Track) -> None:
    """Gains over the accepted kernel's 2 ms, and times over the fastest, each within its interval."""
    ranked = {each.file: each for each in rank_race(run(track, "acd"), {"c" * 64: ("copy.py",)})}
    assert list(ranked) == ["a.py", "c.py", "d.py"]
    for file, took in (("a.py", 1.0), ("c.py", 1.01), ("d.py", 1.03)):
        each = ranked[file]
        assert each.gain.low < 1 - took / 2 < each.gain.high
        assert each.to_best.low <= took <= each.to_best.high
        assert each.time_ms == pytest.approx(took, abs=0.002)
        assert each.configuration == f"of {file[0]}"
    assert (ranked["a.py"].to_best.low, ranked["a.py"].to_best.high) == (1.0, 1.0)
    assert ranked["a.py"].left == ""
    assert ranked["d.py"].left == "proven slower than a.py, c.py, after 4 replicates"
    assert ranked["c.py"].copies == ("copy.py",)


def test_every_figure_has_the_confidence_of_the_whole_race(track: Track) -> None:
    """Of the replicates that it rests on; the control alone has that of one contrast."""
    race = run(track, "acd")
    settings = race.settings.performance
    for each in rank_race(race, {})[1:]:
        values = race.differences(each.sha256, "a" * 64)
        pair = summarise(values, confidence_of_pair(settings, 6, len(values)))
        assert (each.to_best.low, each.to_best.high) == (math.exp(pair.low), math.exp(pair.high))
        gain = summarise(race.differences(each.sha256, Arm.ACCEPTED), pair.confidence)
        assert (each.gain.low, each.gain.high) == (gain.gain_low, gain.gain_high)
    control = control_of(race)
    assert control is not None
    alone = summarise(race.differences(Arm.CONTROL, Arm.ACCEPTED), confidence_of_pair(settings, 1, 4))
    assert (control.low, control.high) == (alone.gain_low, alone.gain_high)


def test_the_place_goes_before_the_estimate(track: Track) -> None:
    """What is proven counts, not what seems."""
    race = run(track, "acd")
    race.slower = {"c" * 64: ("a" * 64, "d" * 64)}
    assert names_of(race) == [("1=", "a.py"), ("1=", "d.py"), ("3", "c.py")]


def test_the_first_replicate_chooses_the_configuration(track: Track) -> None:
    """The others keep to it, and nobody is asked again."""
    track.timed_plans["a" * 64] = (make_timed("slow"), make_timed("fast"))
    race = run(track, "ad")
    assert {one.chosen["a" * 64] for one in race.measured} == {("fast",)}
    assert sum(isinstance(request, protocol.WarmUp) for _, request in track.log) == 1


def test_a_gpu_that_fell_off_is_no_kernels_fault(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so itself, when a process fails."""

    def lose(*_: object) -> None:
        raise GpuError("NVML has lost NVIDIA Test")

    track.fails["b", 0] = FaultKind.CRASHES
    monkeypatch.setattr(racing, "read_health", lose)
    with pytest.raises(GpuError, match="has lost"):
        run(track, "ab")


def test_each_replicate_times_the_accepted_kernel_twice_and_all_that_are_left(track: Track) -> None:
    """Fresh processes of all of them; who has left has none."""
    track.took["b"] = 1.0006  # which four replicates do not tell from a
    race = run(track, "abd", noise_gain=0.0005, proven_gain=0.001)
    count = len(track.crews)
    assert count > LOOKS[0]
    both = [Arm.ACCEPTED, Arm.CONTROL]
    assert track.crews == [[*both, *"abd"]] * LOOKS[0] + [[*both, *"ab"]] * (count - LOOKS[0])
    assert race.seen == {"a" * 64: count, "b" * 64: count, "d" * 64: LOOKS[0]}


def test_every_pair_of_arms_is_balanced(track: Track) -> None:
    """In each replicate every arm comes before every other in half of the blocks."""
    race = run(track, "abc")
    for one in race.measured:
        orders: dict[int, list[str]] = {}
        for sample in one.samples:
            orders.setdefault(sample.block, []).append(sample.arm)
        assert all(order == order[::-1] for order in orders.values())
        firsts = [order.index("a" * 64) < order.index("b" * 64) for order in orders.values()]
        assert sum(firsts) == len(firsts) / 2


def test_a_wrong_answer_ends_the_race_of_who_gave_it(track: Track) -> None:
    """However fast it is; the others go on."""
    track.took["b"] = 0.5
    track.wrong.add(("b", 2))
    race = run(track, "abd")
    (fault,) = list_faults(race)
    assert (fault.file, fault.verdict, fault.reason) == ("b.py", Outcome.WRONG, "timed-answer")
    assert fault.replicates == 2
    assert names_of(race) == [("1", "a.py"), ("2", "d.py")]
    assert race.ended is Ended.ONE_LEFT


@pytest.mark.parametrize("kind", [FaultKind.CRASHES, FaultKind.TIMER, FaultKind.OUT_OF_MEMORY])
@pytest.mark.parametrize("number", [0, 3])
def test_who_fails_leaves_and_the_others_go_on(track: Track, kind: FaultKind, number: int) -> None:
    """The replicate is done anew without it."""
    track.fails["c", number] = kind
    race = run(track, "acd")
    (fault,) = list_faults(race)
    assert (fault.file, fault.reason, fault.replicates) == ("c.py", kind.reason, number)
    assert names_of(race) == [("1", "a.py"), ("2", "d.py")]
    assert len(race.measured) == LOOKS[0]
    assert len(track.crews) == LOOKS[0] + 1


@pytest.mark.parametrize("arm", [Arm.ACCEPTED, Arm.CONTROL])
def test_a_fault_of_the_accepted_kernel_is_nobodys(track: Track, arm: Arm) -> None:
    """There is nothing to time beside."""
    track.fails[arm, 1] = FaultKind.CRASHES
    with pytest.raises(RankError, match="not a candidate but the accepted kernel failed"):
        run(track, "ab")
    assert all(worker.closed for worker in track.started)


def test_a_gpu_that_is_too_small_for_all_is_told(track: Track) -> None:
    """Or the kernels would be blamed one after the other."""
    track.fails["b", 0] = FaultKind.CROWDED
    with pytest.raises(GpuError, match=r"4 processes do not fit .* Rank fewer files") as caught:
        run(track, "ab")
    assert caught.value.reason is Reason.GPU_MEMORY


def test_a_stranger_on_the_gpu_ends_the_race(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was timed beside it says nothing."""
    crowd = msgspec.structs.replace(HEALTHY, foreign_processes=1)
    monkeypatch.setattr(replicate, "read_health", lambda *_: crowd)
    with pytest.raises(GpuError, match="was shared with 1 more"):
        run(track, "ab")


def test_when_all_fail_nothing_is_ranked(track: Track) -> None:
    """And nothing more is timed."""
    track.fails["a", 0] = track.fails["b", 0] = FaultKind.CRASHES
    race = run(track, "ab")
    assert (race.ended, names_of(race), race.measured) == (Ended.NONE_RIGHT, [], [])
    assert control_of(race) is None
    assert {each.file for each in list_faults(race)} == {"a.py", "b.py"}


def test_a_control_that_is_off_puts_nobody_out(track: Track) -> None:
    """The race goes on to the last look, where the ranking is not to be trusted."""
    track.took[Arm.CONTROL] = 2.02
    race = run(track, "ad")
    assert race.ended is Ended.UNSTABLE
    assert len(race.measured) == LOOKS[-1]
    assert "the accepted kernel against itself is off by" in race.doubt
    assert race.slower == {}
    control = control_of(race)
    assert control is not None
    assert control.low < 1 - 2.02 / 2 < control.high
    assert typical_ms(race, Arm.ACCEPTED) == pytest.approx(2.0, abs=0.004)


def test_a_throttled_gpu_puts_nobody_out(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a control that is off."""
    slowed = msgspec.structs.replace(HEALTHY, throttled=("hardware slowdown",))
    monkeypatch.setattr(replicate, "read_health", lambda *_: slowed)
    race = run(track, "ad")
    assert race.ended is Ended.UNSTABLE
    assert "hardware slowdown" in race.doubt


def test_who_left_for_a_kernel_that_does_not_hold_was_not_beaten(track: Track) -> None:
    """It put a and d out before it was found wrong: no ranking follows."""
    track.took["b"] = track.took["c"] = 0.5
    track.wrong.add(("b", LOOKS[0] + 1))
    track.wrong.add(("c", LOOKS[0] + 1))
    race = run(track, "abcd", noise_gain=1e-6, proven_gain=1e-5)
    assert race.ended is Ended.UNSTABLE
    assert "left as slower than" in race.doubt
    assert "which left later itself: the output of a timed call" in race.doubt
    assert {each.file for each in list_faults(race)} == {"b.py", "c.py"}
    assert names_of(race) == [("1", "a.py"), ("2", "d.py")], "by those that hold"


def test_times_that_cannot_be_put_a_kernel_out(track: Track, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the rules of the performance stage, asked of each kernel by itself."""
    asked: set[str] = set()

    def find(*given: Any) -> Any:
        asked.add(given[-1])
        detail = "a call took less than the GPU's peaks allow"
        is_untrue = given[-1] == "a" * 64
        return conclude(Outcome.INVALID, Reason.FASTER_THAN_PHYSICS, detail) if is_untrue else None

    monkeypatch.setattr(racing, "find_untrue_times", find)
    race = run(track, "abd")
    assert asked == {each * 64 for each in "abd"}
    assert names_of(race) == [("1", "b.py"), ("2", "d.py")]
    assert [each.reason for each in list_faults(race)] == ["faster-than-physics"]


def test_without_an_accepted_kernel_pytorch_is_timed(track: Track) -> None:
    """Twice too."""
    race = make_race(track, "ab", accepted=None)
    race.run(lambda: None)
    assert {len(names) for names in (race.measured[0].chosen[Arm.ACCEPTED],)} == {1}
    assert race.measured[0].chosen[Arm.ACCEPTED] == ("cuDNN, TF32 allowed",)


def test_the_accepted_kernel_may_race_itself(track: Track) -> None:
    """As any other."""
    track.took["0"] = 2.0
    race = run(track, "0a")
    assert names_of(race) == [("1", "a.py"), ("2", "0.py")]
