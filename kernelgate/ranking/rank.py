"""`kernelgate rank` from the files to rank.json: each is judged, those that are right race, all is told."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.batch.candidates import list_candidates
from kernelgate.batch.engine import Engine, open_results
from kernelgate.batch.result import Result
from kernelgate.batch.run import judge_in_order, open_judges
from kernelgate.files import write_whole
from kernelgate.judging.judge import make_gate
from kernelgate.judging.watch import Silent, Watch
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import Gpu, find_gpu
from kernelgate.machine.versions import describe_environment
from kernelgate.performance.samples import Arm
from kernelgate.pipeline.judgement import Judgement
from kernelgate.ranking.compiling import compile_racers
from kernelgate.ranking.elimination import Ended
from kernelgate.ranking.race import MAX_RACERS, Race, RankError
from kernelgate.ranking.standing import control_of, describe_end, list_faults, rank_race, typical_ms
from kernelgate.reporting.html.rank import render_ranking_page
from kernelgate.reporting.ranking.record import Ranking, Unranked, write_ranking
from kernelgate.sandbox.sandbox import Sandbox

PAGE_NAME = "rank.html"


def rank(
    files: Iterable[str | Path],
    options: dict[str, Any],
    project: Path | None,
    watch: Watch,
    tell: Callable[[Result], None],
) -> tuple[Ranking, Path]:
    """Return the ranking of the files, and its page; rank.json lies beside it.

    `tell` is given how each file was judged, as soon as it is known. Raises KernelgateError or OSError where
    the files cannot be ranked: without a GPU, beside another program on it, or of several operations.
    """
    gpu, started = find_gpu(), time.monotonic()
    asked = options | {"measure": False}
    with open_results(asked.get) as results:
        judged = []
        with closing(open_judges(asked.get("jobs"), lambda _: watch)) as judges:  # none is left for the race
            engine = Engine(results, project, judges.gpus)
            for result in judge_in_order(engine, judges, list_candidates(files), asked):
                tell(result)
                judged.append(result)
        if not judged:
            raise RankError("FILE: the folder holds no kernel file; name one that does")
        try:
            ranking = rank_judged(judged, asked, project, gpu, lambda: watch.note("performance"))
        finally:
            watch.stop()
        ranking = msgspec.structs.replace(ranking, seconds=round(time.monotonic() - started, 3))
        write_ranking(ranking, results.folder)
        return ranking, write_whole(results.folder / PAGE_NAME, render_ranking_page(ranking))


def rank_judged(
    judged: Sequence[Result],
    asked: dict[str, Any],
    project: Path | None,
    gpu: Gpu,
    tick: Callable[[], None],
) -> Ranking:
    """Return the ranking of what was judged; those that pass are timed. `tick` is called at each replicate.

    Raises RankError for too many kernels, and for those of several operations.
    """
    unranked = tuple(_without_place(each) for each in judged if not each.passes)
    right = _by_bytes([each for each in judged if each.passes])
    if not right:
        return _rank_none(judged, gpu, unranked)
    if len(right) > MAX_RACERS:
        kept = "what was judged is kept: name fewer files, and the same command goes on"
        raise RankError(f"{len(right)} kernels are right, a race has at most {MAX_RACERS}; {kept}")
    if len(computed := sorted({str(each[0].operation) for each in right.values()})) > 1:
        raise RankError(f"the files compute several things: {', '.join(computed)}; give --operation NAME")
    judgement = _open_judgement(next(iter(right.values()))[0].file, asked, project)
    kernels = [_read_again(each[0], judgement) for each in right.values()]
    sandbox = Sandbox(judgement.operation, judgement.settings.limits)
    try:
        faults = compile_racers(sandbox, kernels, judgement.accepted, gpu)
        race = Race(sandbox, kernels, judgement.accepted, gpu, judgement.settings, faults)
        race.run(tick)
    finally:
        sandbox.close()
    copies = {sha256: tuple(each.file for each in same[1:]) for sha256, same in right.items()}
    return _make_ranking(judgement, race, copies, unranked)


def _without_place(result: Result) -> Unranked:
    return Unranked(
        file=result.file,
        sha256=result.sha256,
        verdict=result.verdict,
        reason=result.reason,
        detail=result.detail,
        report=result.report,
    )


def _by_bytes(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results of each content: the same bytes race once."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(str(result.sha256), []).append(result)
    return found


def _open_judgement(file: str, asked: dict[str, Any], project: Path | None) -> Judgement:
    """Return what holds for every file: the operation, the accepted kernel, the settings."""
    judgement = make_gate((asked | {"candidate": file}).get, project, Silent())
    judgement.read_problem()
    return judgement


def _read_again(result: Result, judgement: Judgement) -> KernelFile:
    """Return the file as it was judged; raises RankError if it has changed since."""
    kernel = read_kernel(Path(result.file), judgement.settings.limits.kernel_file_bytes)
    if kernel.sha256 != result.sha256:
        raise RankError(f"{result.file}: has changed since it was judged; run the same command again")
    return kernel


def _make_ranking(
    judgement: Judgement,
    race: Race,
    copies: dict[str, tuple[str, ...]],
    unranked: tuple[Unranked, ...],
) -> Ranking:
    operation, settings = judgement.operation, judgement.settings.performance
    assert race.ended is not None
    return Ranking(
        operation=operation.name,
        gpu=race.gpu.name,
        batch=operation.measured_batch,
        ended=race.ended.value,
        detail=describe_end(race),
        accepted=judgement.accepted.path if judgement.accepted else operation.reference.vendor_name,
        accepted_ms=typical_ms(race, Arm.ACCEPTED) if race.measured else None,
        control=control_of(race),
        noise_gain=settings.noise_gain,
        confidence=settings.confidence,
        pairs=race.pairs,
        replicates=len(race.measured),
        seconds=0.0,
        ranked_at=_now(),
        environment=describe_environment(race.gpu.driver),
        ranked=rank_race(race, copies),
        unranked=(*list_faults(race), *unranked),
    )


def _rank_none(judged: Sequence[Result], gpu: Gpu, unranked: tuple[Unranked, ...]) -> Ranking:
    return Ranking(
        operation=next((each.operation for each in judged if each.operation), ""),
        gpu=gpu.name,
        batch=0,
        ended=Ended.NONE_RIGHT.value,
        detail=f"none of {len(judged)} files passes",
        accepted="",
        accepted_ms=None,
        control=None,
        noise_gain=0.0,
        confidence=0.0,
        pairs=0,
        replicates=0,
        seconds=0.0,
        ranked_at=_now(),
        environment=describe_environment(gpu.driver),
        ranked=(),
        unranked=unranked,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
