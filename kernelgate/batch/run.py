"""A batch of files: all are held to their form first, then those that are left are judged."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Unpack

from msgspec.structs import replace

from kernelgate.batch.candidates import Candidate, list_candidates
from kernelgate.batch.engine import Engine, open_results
from kernelgate.batch.judges import Judged, Judges, ThisProcess, WatchOf
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result
from kernelgate.batch.side_by_side.processes import JudgeProcesses
from kernelgate.batch.side_by_side.seats import list_seats
from kernelgate.judging.judge import Asked, read_asked
from kernelgate.judging.options import AskedError
from kernelgate.judging.watch import Silent


def judge_all(
    files: Iterable[str | Path],
    jobs: int | None = None,
    cluster: str | None = None,
    **asked: Unpack[Asked],
) -> Iterator[Result]:
    """Return how each file was judged, as it is known; a folder stands for its .py files.

    Each result is a line of results.jsonl in `report_dir` by then, and the candidate's report in a folder
    beside it. What was decided there before is not judged again. `jobs` candidates are judged at a time, on
    the GPUs by turns; left out, as many as the machine has room for. With the address of a `cluster` that is
    the machines of a Ray cluster; `local` is one of this machine. Raises TypeError for an unknown key, and
    with the first result KernelgateError or OSError where no result can be kept. What is wrong with one
    file, or with what is asked of it, is its result.
    """
    options, project = read_asked(asked, "judge_all")
    return _judge_all(files, options | {"jobs": jobs, "cluster": cluster}, project)


def _judge_all(
    files: Iterable[str | Path], options: dict[str, Any], project: Path | None
) -> Iterator[Result]:
    with (
        open_results(options.get) as results,
        closing(open_judges(options["jobs"], lambda _: Silent(), options["cluster"])) as judges,
    ):
        engine = Engine(results, project, judges.gpus)
        yield from judge_in_order(engine, judges, list_candidates(files), options)


def open_judges(jobs: int | None, watch_of: WatchOf, cluster: str | None = None) -> Judges:
    """Return who judges so many candidates at a time: this process if it is one, or the hosts of a cluster.

    Raises AskedError, and ClusterError for a cluster that cannot be reached.
    """
    if cluster is not None:
        return _open_cluster(cluster, jobs, watch_of)
    seats = list_seats(jobs)
    return ThisProcess(watch_of) if len(seats) == 1 else JudgeProcesses(seats, watch_of)


def _open_cluster(address: str, jobs: int | None, watch_of: WatchOf) -> Judges:
    try:
        from kernelgate.batch.cluster.judges import open_cluster  # noqa: PLC0415 - Ray is an extra
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise AskedError(f"--cluster {address}: needs Ray; pip install 'kernelgate[cluster]'") from error
    return open_cluster(address, jobs, watch_of)


def judge_in_order(
    engine: Engine, judges: Judges, candidates: Sequence[Candidate], options: dict[str, Any]
) -> Iterator[Result]:
    """Yield each candidate's result: the refusals that cost nothing come first."""
    orders: list[Order] = []
    for each in candidates:
        refused = engine.refuse(each.file, each.refusal) if each.refusal else None
        order = refused or engine.order(options | {"candidate": each.file})
        if isinstance(order, Order):
            orders.append(order)
        else:
            yield order
    have_form: list[Order] = []
    for order, result in _judge_once(engine, judges, orders, only_form=True):
        if result is None:
            have_form.append(order)
        else:
            yield result
    for _, result in _judge_once(engine, judges, have_form, only_form=False):
        if result is not None:
            yield result


def _judge_once(
    engine: Engine, judges: Judges, orders: Sequence[Order], *, only_form: bool
) -> Iterator[Judged]:
    """Yield what comes of each order. Of those that ask the same the first is judged, and the others know."""
    while orders:
        unknown: list[Order] = []
        for order in orders:
            if (known := engine.find(order)) is not None:
                yield order, known
            else:
                unknown.append(order)
        first = {order.key: order for order in reversed(unknown)}
        asked = (replace(order, only_form=only_form) for order in unknown if order is first[order.key])
        formed = set()
        for order, result in judges.judge(asked):
            if result is None:
                formed.add(order.key)
            yield order, None if result is None else engine.keep(result)
        others = [order for order in unknown if order is not first[order.key]]
        yield from ((order, None) for order in others if order.key in formed)
        orders = [order for order in others if order.key not in formed]
