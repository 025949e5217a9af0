"""How often each rule is right, from recorded replicates: `python -m benchmarks.rates FILE...`.

First from replicates used once each, in the order they were recorded; then from decisions redrawn from the
pool, each of which draws its replicates without repeating one. Intervals are Clopper and Pearson's, 95 %. Two
arms are moved to the very lines of the rule, and say so.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.pool import Pool, load
from benchmarks.rules import PEERS, Call, call_in_looks
from kernelgate.performance.samples import Arm
from kernelgate.performance.samples_file import SamplesError
from kernelgate.settings import load_settings
from kernelgate.verdict import Rule

ROOT = Path(__file__).resolve().parents[1]
REDRAWN = 5000
PEER_REDRAWN = 200


def once_each(pool: Pool, arm: str, rule: Rule) -> Counter[Call]:
    """Return the calls of decisions that share no replicate."""
    calls: Counter[Call] = Counter()
    first = 0
    while first + pool.settings.looks[0] <= pool.replicates:
        order = np.arange(first, min(first + pool.settings.looks[-1], pool.replicates))
        call, used = _decide(pool, arm, order, rule)
        if call == "unstable" and used < pool.settings.looks[-1]:
            break  # the pool ended before the last look
        calls[call] += 1
        first += used
    return calls


def redrawn(pool: Pool, arm: str, rule: Rule, times: int, seed: int = 0) -> tuple[Counter[Call], float]:
    """Return the calls of decisions on replicates drawn anew, and the replicates used by half of them."""
    chance = np.random.default_rng(seed)
    calls: Counter[Call] = Counter()
    used = []
    for _ in range(times):
        order = chance.permutation(pool.replicates)[: pool.settings.looks[-1]]
        call, replicates = _decide(pool, arm, order, rule)
        calls[call] += 1
        used.append(replicates)
    return calls, float(np.median(used))


def peers(pool: Pool, arm: str, processes: int, times: int, seed: int = 0) -> dict[str, Counter[Call]]:
    """Return each peer's calls on the calls of so many processes an arm."""
    chance = np.random.default_rng(seed)
    found: dict[str, Counter[Call]] = {name: Counter() for name in PEERS}
    for _ in range(times):
        order = chance.permutation(pool.replicates)[:processes]
        candidate, accepted = (np.concatenate(pool.calls[name][order]) for name in (arm, Arm.ACCEPTED))
        for name, rule in PEERS.items():
            found[name][rule(candidate, accepted)] += 1
    return found


def _decide(pool: Pool, arm: str, order: np.ndarray, rule: Rule) -> tuple[Call, int]:
    candidate, control = (pool.contrasts[name][order].tolist() for name in (arm, Arm.CONTROL))
    return call_in_looks(candidate, control, pool.settings, rule)


def exact_interval(count: int, total: int) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % interval of a share."""
    interval = stats.binomtest(count, total).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def render(pool: Pool) -> Iterator[str]:
    """Yield the lines of a report in Markdown."""
    blocks = f"{pool.replicates} replicates of {pool.settings.blocks} blocks"
    yield f"{blocks}; the samples of one arm take {pool.seconds.mean():.2f} s of GPU time in each."
    yield ""
    yield "| arm | ln ratio x 100 | sd of a replicate |"
    yield "|---|---|---|"
    for arm in pool.arms:
        values = 100 * pool.contrasts[arm]
        yield f"| {arm} | {values.mean():+.3f} +- {stats.sem(values):.3f} | {values.std(ddof=1):.3f} |"
    yield ""
    yield "The A/A contrast by the place of its block, 100 x mean / sd (processes start beside the first):"
    yield ""
    places = zip(pool.control_blocks.mean(axis=0), pool.control_blocks.std(axis=0, ddof=1), strict=True)
    yield ", ".join(f"{100 * mean:+.2f} / {100 * sd:.2f}" for mean, sd in places)
    line = pool.settings.noise_gain
    with_edges = pool.moved_to(math.log1p(-line)).moved_to(math.log1p(line))
    for rule in Rule:
        yield from _render_rule(with_edges, rule)
    for processes in (pool.settings.looks[0], 1):
        yield from _render_peers(with_edges, processes)


def _render_rule(pool: Pool, rule: Rule) -> Iterator[str]:
    yield ""
    yield f"Rule `{rule}`, replicates used once each; and redrawn {REDRAWN} times from the pool:"
    yield ""
    yield "| arm | faster | slower | same | unstable | redrawn: faster | slower | unstable | replicates |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for arm in pool.arms:
        calls = once_each(pool, arm, rule)
        again, used = redrawn(pool, arm, rule, REDRAWN)
        counts = " | ".join(str(calls[call]) for call in ("faster", "slower", "same", "unstable"))
        shares = " | ".join(_share(again[call], REDRAWN) for call in ("faster", "slower", "unstable"))
        yield f"| {arm} | {counts} | {shares} | {used:.0f} |"


def _render_peers(pool: Pool, processes: int) -> Iterator[str]:
    yield ""
    yield f"Peers, redrawn {PEER_REDRAWN} times, by the processes of an arm, {processes}: % faster / slower."
    yield ""
    yield "| arm | " + " | ".join(PEERS) + " |"
    yield "|---|" + "---|" * len(PEERS)
    for arm in pool.arms:
        found = peers(pool, arm, processes, PEER_REDRAWN)
        cells = (f"{_percent(c['faster'])} / {_percent(c['slower'])}" for c in found.values())
        yield f"| {arm} | " + " | ".join(cells) + " |"


def _percent(count: int) -> str:
    return f"{100 * count / PEER_REDRAWN:.0f}"


def _share(count: int, total: int) -> str:
    low, high = exact_interval(count, total)
    return f"{100 * count / total:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what benchmarks.record wrote")
    parser.add_argument(
        "--as-set", action="store_true", help="end and decide replicates as the gate's settings say now"
    )
    options = parser.parse_args(arguments)
    wanted = load_settings(ROOT / "pyproject.toml").performance if options.as_set else None
    try:
        for line in render(load(options.files, wanted)):
            print(line)
    except SamplesError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
