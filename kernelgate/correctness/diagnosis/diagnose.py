"""Making the smallest failing case once more, to say where its answer is wrong and what that looks like."""

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from kernelgate.correctness.calls import Run
from kernelgate.correctness.case_runner import CaseRunner, Replayed
from kernelgate.correctness.diagnosis.memory_faults import guess_memory_fault
from kernelgate.correctness.relation import Places
from kernelgate.correctness.relations import LAWS_OF_VALUES, RELATIONS
from kernelgate.correctness.result import Diagnosis, Finding
from kernelgate.operations.accuracy import laws as accuracy
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import family_of
from kernelgate.operations.faults.fault_map import Guess
from kernelgate.operations.faults.kinds import Facts, guess_kind
from kernelgate.operations.faults.ranges import make_map
from kernelgate.operations.faults.script import Shown, has_script, render_script
from kernelgate.operations.faults.tally import Tally
from kernelgate.operations.truth.places import listed
from kernelgate.sandbox.worker_process import WorkerFault

OF_PROBLEM = "no script: the truth is the problem's Model; --replay shows it"
OF_TENSORS = "no script: its values, or their layout, take more than a few lines; --replay makes them"
OTHER_CALLS = "no script: it shows between several calls, which --replay makes"
HELD_AGAIN = "no script: the same case held when it was made once more"
OF_MEMORY = "no script: what a launch does to memory shows in no answer for certain; --replay shows it"


def diagnose(runner: CaseRunner, finding: Finding, kernel: Path) -> Finding:
    """Return the finding with what its case shows; as it is if the law is not about an answer."""
    if finding.forbidden or not (finding.law == "memory" or _is_about_values(finding)):
        return finding
    try:
        with runner.truths.at_work():
            replayed = runner.replay(finding.case)
            return msgspec.structs.replace(finding, diagnosis=_diagnose(runner, finding, replayed, kernel))
    except WorkerFault:  # it fails in another way each time: the finding stands as it was seen
        return finding


def _is_about_values(finding: Finding) -> bool:
    return finding.law in (*LAWS_OF_VALUES, *RELATIONS, "layout", "domain")


def _diagnose(runner: CaseRunner, finding: Finding, replayed: Replayed, kernel: Path) -> Diagnosis:
    run = replayed.runs[-1]
    if finding.law == "memory":
        tally, _ = _count_values(runner, run)
        race = guess_memory_fault(run.ran.memory or (finding.detail,))
        guess = race or guess_kind(tally, Facts(exact=True))
        return _made(tally, guess, script="", no_script=OF_MEMORY)
    if replayed.broken is None:
        guess = Guess(kind="race", because="the same case held when it was made once more")
        return Diagnosis(guess=guess, no_script=HELD_AGAIN)
    tally, facts = _measure(runner, finding, replayed)
    without = _why_no_script(runner.operation, replayed, tally)
    script = "" if without else _script(runner, finding, replayed, tally, kernel)
    return _made(tally, guess_kind(tally, facts), script, without)


def _is_exact(runner: CaseRunner, recipe: Recipe) -> bool:
    return family_of(runner.operation, recipe).exact and runner.operation.keeps("exact")


def _made(tally: Tally, guess: Guess | None, script: str, no_script: str) -> Diagnosis:
    return Diagnosis(map=make_map(tally), guess=guess, script=script, no_script=no_script)


def _measure(runner: CaseRunner, finding: Finding, replayed: Replayed) -> tuple[Tally, Facts]:
    """Return where the last answer is wrong, and the facts beside that."""
    run = replayed.runs[-1]
    tally, sizes = _count_values(runner, run)
    by_values = tally.wrong_in_all > 0
    if not by_values:
        tally = _count_relation(runner, finding, replayed)
    facts = Facts(
        exact=_is_exact(runner, run.call.recipe),
        # A wrong tap is within a few bounds of a fast algorithm: there they say nothing of the kind.
        largest_error=sizes.bounds if by_values and runner.operation.keeps("hard-bound") else None,
        usual_error=sizes.share if by_values else None,
        stale=_share_of_earlier(replayed, tally),
        changes=_share_of_changes(runner, run, 1),
        changes_in_order=_share_of_changes(runner, run, 2),
    )
    return tally, facts


class _Sizes(NamedTuple):
    """Errors of wrong elements: the largest in hard bounds, the usual one as a share of what is exact."""

    bounds: float = 0.0
    share: float = 0.0


def _count_values(runner: CaseRunner, run: Run) -> tuple[Tally, _Sizes]:
    """Return the elements of a run that break laws of values, and how large their errors are."""
    family = family_of(runner.operation, run.call.recipe)
    tally, sizes = Tally(runner.operation, run.call.recipe.batch), _Sizes()
    if run.bits is None or run.offsets is None:
        return tally, sizes
    missing = _missing(runner, run, int(np.prod(tally.shape)))
    if not len(run.offsets):  # nothing was written: there is no value to judge
        lacking = np.ones(missing.size, np.bool_)
        tally.add(missing, lacking, lacking)
        return tally, sizes
    for answer, _ in runner.truths.answers(run):
        wrong = accuracy.wrong_elements(answer, runner.limits, exact=family.exact, special=family.special)
        sizes = _Sizes(
            max(sizes.bounds, accuracy.worst_error(answer, wrong)),
            max(sizes.share, accuracy.usual_error(answer, wrong)),
        )
        held = answer.values.cpu().numpy().view(np.uint32) == answer.poison_bits
        lacking = np.ones(missing.size, np.bool_)
        tally.add(
            np.concatenate([answer.places(), missing]),
            np.concatenate([wrong.cpu().numpy(), lacking]),
            np.concatenate([held, lacking]),
        )
    return tally, sizes


def _missing(runner: CaseRunner, run: Run, total: int) -> Places:
    """Return what interpreted programs left out, where all of them ran: their answer comes in one part."""
    if not (runner.caller.interprets and run.ran_whole):
        return np.empty(0, np.int64)
    return np.setdiff1d(np.arange(total), _offsets(run), assume_unique=True)


def _offsets(run: Run) -> Places:
    assert run.offsets is not None
    return listed(run.offsets)


def _count_relation(runner: CaseRunner, finding: Finding, replayed: Replayed) -> Tally:
    """Return the elements in which the last answer is not what the first one says."""
    last = replayed.runs[-1]
    tally = Tally(runner.operation, last.call.recipe.batch)
    differing = RELATIONS[finding.case.relation].compare(runner.operation, replayed.runs)
    if differing is not None:
        offsets, wrong = differing
        tally.add(offsets, wrong, np.zeros(wrong.size, np.bool_))
    return tally


def _share_of_earlier(replayed: Replayed, tally: Tally) -> float:
    """Return which share of the wrong elements an earlier call had answered so."""
    *earlier, last = replayed.runs
    if last.bits is None or last.offsets is None or not tally.wrong_in_all:
        return 0.0
    same = [
        float((last.bits == each.bits).sum()) / tally.wrong_in_all
        for each in earlier
        if each.bits is not None and each.call.recipe != last.call.recipe and _is_at_same_places(each, last)
    ]
    return min(1.0, max(same, default=0.0))


def _is_at_same_places(one: Run, other: Run) -> bool:
    return np.array_equal(_offsets(one), _offsets(other))


def _share_of_changes(runner: CaseRunner, run: Run, later: int) -> float:
    """Return which share of the elements an equal call answers otherwise; calls of the file itself are not.

    The next call but one has other contents of unwritten memory, and its programs run in the same order.
    """
    if run.as_planned is not None or run.bits is None or not run.bits.size:
        return 0.0
    again = runner.caller.run(msgspec.structs.replace(run.call, number=run.call.number + later))
    if again.bits is None or not _is_at_same_places(again, run):
        return 0.0
    unwritten = (run.bits == run.poison_bits) & (again.bits == again.poison_bits)
    return float(((again.bits != run.bits) & ~unwritten).mean())


def _why_no_script(operation: Operation, replayed: Replayed, tally: Tally) -> str:
    """Return why no single call of the file shows the fault in a few lines, empty if one does."""
    call = replayed.runs[-1].call
    if operation.problem is not None:
        return OF_PROBLEM
    is_alone = len(replayed.runs) == 1 and call.way is Way.PLAINLY and not call.recipe.absent
    if not is_alone or tally.plane is None:
        return OTHER_CALLS
    is_plain = operation.has_items or call.layout == "contiguous"
    return "" if is_plain and has_script(call.recipe, call.layout) else OF_TENSORS


def _script(runner: CaseRunner, finding: Finding, replayed: Replayed, tally: Tally, kernel: Path) -> str:
    case, call = finding.case, replayed.runs[-1].call
    shown = Shown(
        title=f"{runner.operation.name}[{case}] {finding.law}",
        kernel=str(kernel),
        recipe=call.recipe,
        layout=call.layout,
        pin=call.pin,
        offset=tally.first_offset,
        is_exact=_is_exact(runner, case.recipe),
    )
    return render_script(runner.operation, shown)
