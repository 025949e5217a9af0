"""A failing case made once more: where it is wrong, what that looks like, a script or why there is none."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate.correctness.calls import Run
from kernelgate.correctness.diagnosis.diagnose import HELD_AGAIN, OF_MEMORY, OTHER_CALLS, diagnose
from kernelgate.correctness.diagnosis.words import draw, tell
from kernelgate.correctness.result import Diagnosis, Finding
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.pretended_runner import (
    AN_ITEM,
    SMALL,
    Change,
    make_case,
    make_case_runner,
    spoiled,
)

KERNEL = Path("/somewhere/kernel.py")


def diagnosis_of(change: Change, **changes: Any) -> Diagnosis:
    """Return what is said of the finding that a case of such answers comes to."""
    finding = finding_of(change, **changes)
    assert finding.diagnosis is not None
    return finding.diagnosis


def finding_of(change: Change, **changes: Any) -> Finding:
    runner, caller = make_case_runner(change)
    case = make_case(**changes)
    found = runner.run(case).finding
    assert found is not None
    caller.calls.clear()
    return diagnose(runner, found, KERNEL)


def with_columns(run: Run, _: int) -> Run:
    """Spoil the first column of every plane, which has taps in the padding."""
    assert run.bits is not None
    bits = run.bits.copy()
    bits.view(np.float32).reshape(-1, 3, 3)[:, :, 0] = 1e6
    return msgspec.structs.replace(run, bits=bits)


def with_small_errors(run: Run, _: int) -> Run:
    assert run.bits is not None
    values = run.bits.copy().view(np.float32)
    values += 0.5 * np.sign(np.sin(np.arange(values.size))).astype(np.float32)
    return msgspec.structs.replace(run, bits=values.view(np.uint32))


def with_half_of_it(run: Run, _: int) -> Run:
    assert run.bits is not None
    assert run.offsets is not None
    kept = np.arange(run.offsets.size) % AN_ITEM < AN_ITEM // 2
    ran = msgspec.structs.replace(
        run.ran,
        launches=tuple(msgspec.structs.replace(each, programs_run=100) for each in run.ran.launches),
    )
    return msgspec.structs.replace(run, bits=run.bits[kept], offsets=run.offsets[kept], ran=ran)


def test_a_wrong_border_is_a_halo_with_a_picture_and_a_script() -> None:
    """The place, the picture and the script are of the same plane."""
    said = diagnosis_of(with_columns)
    assert said.map is not None
    assert said.map.where == "all images, all channels, all rows, column 0"
    assert said.map.rows == ("#..", "#..", "#..")
    assert said.guess is not None
    assert said.guess.kind == "halo"
    assert "out[0, 0, 0, 0]" in said.script
    assert repr(str(KERNEL)) in said.script
    assert said.no_script == ""


def with_nothing(run: Run, _: int) -> Run:
    half = with_half_of_it(run, 0)
    return msgspec.structs.replace(half, bits=np.empty(0, np.uint32), offsets=np.empty(0, np.int64))


def test_an_answer_of_which_nothing_was_written_is_seen() -> None:
    """There is no value to judge then, and the picture says so."""
    said = diagnosis_of(with_nothing)
    assert said.map is not None
    assert said.map.unwritten == said.map.compared == 2 * AN_ITEM
    assert said.guess is not None
    assert said.guess.kind == "unwritten"


def test_what_was_not_written_is_seen() -> None:
    """Interpreted programs that all ran left it out."""
    said = diagnosis_of(with_half_of_it)
    assert said.map is not None
    assert said.map.unwritten == said.map.wrong == AN_ITEM
    assert said.map.compared == 2 * AN_ITEM
    assert said.guess is not None
    assert said.guess.kind == "unwritten"


def test_errors_everywhere_that_are_small_are_of_precision() -> None:
    """In units of the hard bound."""
    said = diagnosis_of(with_small_errors)
    assert said.guess is not None
    assert said.guess.kind == "precision"


def test_the_size_of_an_error_says_nothing_where_any_algorithm_is_allowed() -> None:
    """A few of its bounds are a hundred of the direct ones: so large are wrong taps too."""

    def change(run: Run, _: int) -> Run:
        assert run.bits is not None
        return msgspec.structs.replace(run, bits=(run.bits.view(np.float32) + 100).view(np.uint32))

    operation = msgspec.structs.replace(SMALL, algorithm="any")
    runner, _ = make_case_runner(change, operation)
    result = runner.run(make_case())
    assert result.finding is not None
    assert result.finding.law == "hard-bound"
    said = diagnose(runner, result.finding, KERNEL).diagnosis
    assert said is not None
    assert said.map is not None
    assert said.guess is None


def test_an_answer_that_depends_on_the_order_is_a_race() -> None:
    """Every second call runs its programs backwards."""

    def change(run: Run, _: int) -> Run:
        return spoiled(run, place=3, value=1e6 + run.call.number % 2)

    said = diagnosis_of(change)
    assert said.guess is not None
    assert said.guess.kind == "race"


def test_an_answer_that_depends_on_unwritten_memory_is_told_from_a_race() -> None:
    """It is another one also where the order is the same."""
    said = diagnosis_of(lambda run, _: spoiled(run, place=3, value=1e6 + run.call.number))
    assert said.guess is not None
    assert said.guess.kind == "uninitialised"


def test_an_answer_of_an_earlier_call_is_stale() -> None:
    """And shows in no single call: there is no script."""
    answers: dict[int, Run] = {}

    def change(run: Run, _: int) -> Run:
        answers.setdefault(run.call.number, run)
        return msgspec.structs.replace(run, bits=answers[0].bits) if run.call.number == 1 else run

    said = diagnosis_of(change, relation="new-contents")
    assert said.guess is not None
    assert said.guess.kind == "stale"
    assert (said.script, said.no_script) == ("", OTHER_CALLS)


def test_a_relation_that_breaks_shows_where() -> None:
    """By one bit, where the laws of values hold."""

    def change(run: Run, _: int) -> Run:
        assert run.bits is not None
        bits = run.bits.copy()
        bits[5] ^= run.call.number & 1
        return msgspec.structs.replace(run, bits=bits)

    said = diagnosis_of(change, relation="repeat")
    assert said.map is not None
    assert (said.map.wrong, said.map.where) == (1, "image 0, channel 0, row 1, column 2")
    assert said.no_script == OTHER_CALLS


def test_memory_has_no_script_and_says_why() -> None:
    """What programs do to each other's memory is undefined on a GPU."""
    text = "program (0, 0, 0) of conv wrote another value than program (46, 0, 0) to one element"

    def change(run: Run, _: int) -> Run:
        return msgspec.structs.replace(run, ran=msgspec.structs.replace(run.ran, memory=(text,)))

    said = diagnosis_of(change)
    assert said.guess is not None
    assert said.guess.kind == "race"
    assert (said.script, said.no_script) == ("", OF_MEMORY)


def test_what_holds_when_it_is_made_again_is_said_to() -> None:
    """No script can show it for certain."""
    made: list[Run] = []

    def change(run: Run, _: int) -> Run:
        made.append(run)
        return spoiled(run) if len(made) == 1 else run

    said = diagnosis_of(change)
    assert (said.map, said.no_script) == (None, HELD_AGAIN)


@pytest.mark.parametrize("law", ["raises", "form", "delegation"])
def test_a_law_that_is_about_no_answer_is_left_as_it_is(law: str) -> None:
    """It costs no further call."""
    runner, caller = make_case_runner()
    finding = Finding(case=make_case(), law=law, detail="seen", forbidden=law == "delegation")
    assert diagnose(runner, finding, KERNEL) is finding
    assert caller.calls == []


def test_a_worker_that_fails_meanwhile_leaves_the_finding() -> None:
    """What was seen before was seen."""

    def change(_run: Run, _: int) -> Run:
        raise WorkerFault(FaultKind.CRASHES, "gone")

    runner, _ = make_case_runner(change)
    finding = Finding(case=make_case(), law="hard-bound", detail="seen", forbidden=False)
    assert diagnose(runner, finding, KERNEL) is finding


def test_a_diagnosis_is_told_in_words_and_drawn() -> None:
    """As a guess; the picture says what its marks mean."""
    said = diagnosis_of(with_columns)
    told = dict(tell(said))
    assert told["wrong elements"] == "192 of 576 compared: all images, all channels, all rows, column 0"
    assert told["looks like"].startswith("halo: ")
    assert "reproduce.py" in told["reproduce"]
    assert said.map is not None
    key, *picture = draw(said.map, 2, 2)
    assert key.startswith("image 0, channel 0 (3 x 3): . right, # wrong, ? never written")
    assert picture == ["#.", "#."]
