"""A batch of files: all are held to their form first, then those that are left are judged in order."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Unpack

from kernelgate.batch.candidates import Candidate, list_candidates
from kernelgate.batch.engine import Engine, open_results
from kernelgate.batch.result import Result
from kernelgate.judging.judge import Asked, read_asked
from kernelgate.judging.watch import Silent


def judge_all(files: Iterable[str | Path], **asked: Unpack[Asked]) -> Iterator[Result]:
    """Return how each file was judged, as it is known; a folder stands for its .py files.

    Each result is a line of results.jsonl in `report_dir` by then, and the candidate's report in a folder
    beside it. What was decided there before is not judged again. Raises TypeError for an unknown key, and
    with the first result KernelgateError or OSError where no result can be kept. What is wrong with one
    file, or with what is asked of it, is its result.
    """
    return _judge_all(files, *read_asked(asked, "judge_all"))


def _judge_all(
    files: Iterable[str | Path], options: dict[str, Any], project: Path | None
) -> Iterator[Result]:
    with open_results(options.get) as results:
        yield from judge_in_order(Engine(results, project, Silent()), list_candidates(files), options)


def judge_in_order(engine: Engine, candidates: list[Candidate], options: dict[str, Any]) -> Iterator[Result]:
    """Yield each candidate's result: the refusals that cost nothing come first."""
    left = []
    for each in candidates:
        refused = engine.refuse(each.file, each.refusal) if each.refusal else None
        result = refused or engine.judge(options | {"candidate": each.file}, only_format=True)
        if result is None:
            left.append(each.file)
        else:
            yield result
    for file in left:
        if (result := engine.judge(options | {"candidate": file})) is not None:
            yield result
