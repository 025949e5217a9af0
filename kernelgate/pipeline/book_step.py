"""After the last stage: all plans that a judgement on a GPU asks for are recorded, and kept as a book."""

from kernelgate.baselines.store import BaselineError, recorded_gpus
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.stage import OTHER_SPECIALISATIONS
from kernelgate.correctness.callers.book_calls import record_calls
from kernelgate.correctness.planning.hypothesis_profile import current_profile
from kernelgate.execution.cards import ADA, KNOWN, Card
from kernelgate.machine.versions import triton_version
from kernelgate.pipeline.correctness_step import find_entropy
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import ANSWERED, stop_for
from kernelgate.plan_book.book import read_book


def keep_book(judgement: Judgement) -> None:
    """Write the plan book of a candidate that passes, for an RTX 4090 and every GPU that has a record.

    A GPU whose properties are not known is left out. What goes wrong becomes the verdict.
    """
    try:
        cards = _find_cards(judgement)
    except BaselineError as error:
        judgement.verdict_so_far = stop_for(error, judgement, "performance").verdict
        return
    try:
        _write(judgement, cards)
    except ANSWERED as error:
        judgement.verdict_so_far = stop_for(error, judgement, "correctness").verdict


def _write(judgement: Judgement, cards: tuple[Card, ...]) -> None:
    request, sandbox, kernel = judgement.request, judgement.sandbox, judgement.kernel
    folder, notes = request.keep_plans, sandbox.notes
    assert folder is not None
    assert notes is not None
    profile = current_profile(judgement.settings.correctness, request.root)
    entropy = find_entropy(judgement, profile)
    for card in cards:
        target = Target(
            capability=card.capability, batches=OTHER_SPECIALISATIONS, at_hand=card, is_timed=True
        )
        (compiled,) = compile_kernels(sandbox, {kernel: [target]})[kernel]
        record_calls(sandbox, kernel, compiled, target, entropy, judgement.settings.laws)
    notes.write(folder, entropy)
    # As whoever gets it will read it.
    judgement.kept_book = read_book(folder, judgement.operation, kernel.sha256, triton_version())


def _find_cards(judgement: Judgement) -> tuple[Card, ...]:
    project = judgement.project
    names = recorded_gpus(project, judgement.operation.name) if project else ()
    return (ADA, *(card for card in KNOWN.values() if card.name in names and card != ADA))
