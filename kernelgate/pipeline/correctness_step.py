"""Stage `correctness`: the answers obey every law, in every case that is drawn."""

from contextlib import nullcontext

from kernelgate.correctness.planning.hypothesis_profile import Profile, current_profile
from kernelgate.correctness.result import Correctness, Finding, describe_correctness
from kernelgate.correctness.stage import Trial, try_kernel
from kernelgate.machine.gpu_lock import shared
from kernelgate.operations.declaration.operation import Operation
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.stage import Result, Stopped
from kernelgate.plan_book.book import BookError
from kernelgate.verdict import Outcome, Reason, Verdict, conclude


def obey_laws(judgement: Judgement) -> tuple[str, Result]:
    """Return what held; raises Stopped, and errors of workers and the GPU."""
    case, largest = judgement.request.replay, judgement.operation.max_batch
    if case is not None and case.batch > largest:
        detail = f"--replay: batch is {case.batch}, {judgement.operation.name} is tried on 1 to {largest}"
        raise Stopped(conclude(Outcome.INVALID, Reason.NOTHING_TRIED, detail))
    result = _try(judgement)
    if result.finding is not None:
        raise Stopped(_condemn(judgement.operation, result.finding), result)
    if not result.passed:
        why = next((line.note for line in result.laws if line.note), "no case ran")
        detail = f"no case could be tried in the {result.where}: {why}"
        raise Stopped(conclude(Outcome.INVALID, Reason.NOTHING_TRIED, detail), result)
    if case is not None:
        # One case chosen on the command line must not stand for all of them.
        detail = f"the replayed case holds: {case}; run without --replay for a verdict"
        raise Stopped(conclude(Outcome.INVALID, Reason.REPLAY_ONLY, detail), result)
    return describe_correctness(result), result


def _try(judgement: Judgement) -> Correctness:
    request = judgement.request
    trial = _plan_trial(judgement)
    with shared(request.gpu) if request.gpu else nullcontext():
        return try_kernel(
            judgement.sandbox,
            judgement.kernel,
            judgement.programs.at_hand,
            trial,
            lambda: judgement.progress("correctness"),
        )


def _plan_trial(judgement: Judgement) -> Trial:
    request, settings = judgement.request, judgement.settings.correctness
    profile = current_profile(settings, request.root)
    judgement.entropy = find_entropy(judgement, profile)
    return Trial(
        gpus=request.gpus,
        profile=profile,
        laws=judgement.settings.laws,
        programs=settings.sampled_programs,
        entropy=judgement.entropy,
        replay=request.replay,
        workers=request.workers,
        by_book=judgement.sandbox.has_book_of(judgement.kernel.sha256),
    )


def find_entropy(judgement: Judgement, profile: Profile) -> int:
    """Return what seeds every draw: a book's plans are those of its own draws. Raises BookError.

    A profile that always draws the same leaves the choice to no book.
    """
    book = judgement.sandbox.book
    given = judgement.entropy if book is None else book.index.entropy
    if book is not None and profile.fixed and given != profile.draw_entropy():
        drawn = f"drawn by entropy {given}, profile {profile.name} draws by {profile.draw_entropy()}"
        raise BookError(f"{book.folder}: is {drawn}")
    return profile.draw_entropy() if given is None else given


def _condemn(operation: Operation, finding: Finding) -> Verdict:
    outcome = Outcome.FORBIDDEN if finding.forbidden else Outcome.WRONG
    if not finding.alone:
        detail = f"{operation.name} {finding.law}: {finding.detail}"
        return conclude(outcome, Reason.of(finding.law), detail)
    place = f"{operation.name}[{finding.case}]"
    laws = "" if operation.algorithm == "direct" else f" --algorithm {operation.algorithm}"
    detail = f"{place} {finding.law}: {finding.detail}. Replay: --replay {finding.case.replay}{laws}"
    return conclude(outcome, Reason.of(finding.law), detail)
