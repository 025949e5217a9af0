"""Judges the honest files of the corpus over seeds, and counts how many are refused: none should be.

`python -m benchmarks.false_refusals --seeds 5 --minutes 10` judges each file on so many seeds, while there is
time, on the GPU at hand or without one, and appends each judgement to `--record`. Records are counted
together: `--count FILE...` judges nothing.
"""

import argparse
import importlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.machine.gpu import GpuError, find_gpu, visible_gpus
from kernelgate.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
PLANTED = "tests.selftest.corpus.planted"
CONFIDENCE = 0.95


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One honest file on one seed; `law` is empty unless it was refused."""

    name: str
    seed: int
    on_gpu: bool
    law: str
    detail: str
    seconds: float


def honest_files() -> list[tuple[str, str]]:
    """Return the name and the source of each honest file that this machine can judge."""
    entries = importlib.import_module(f"{PLANTED}.corpus").look_alikes()
    return [(each.name, each.source) for _, each in entries if visible_gpus() or not each.gpu_only]


def judge_file(name: str, source: str, seeds: Sequence[int], ends: float) -> list[Judgement]:
    """Return the judgements of a file; none is begun after `ends`, in seconds since the epoch."""
    if time.time() > ends:
        return []
    judging: Any = importlib.import_module(f"{PLANTED}.judging")
    try:
        gpu = find_gpu()
    except GpuError:
        gpu = None
    corpus = judging.Corpus(settings=load_settings(ROOT / "pyproject.toml"), gpu=gpu, gpus=visible_gpus()[:1])
    made = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidate.py"
        file.write_text(source, encoding="utf-8")
        for seed, law, detail, seconds in corpus.judge(file, seeds):
            made.append(
                Judgement(
                    name=name,
                    seed=seed,
                    on_gpu=gpu is not None,
                    law=law,
                    detail=detail[:300],
                    seconds=round(seconds, 1),
                )
            )
            if time.time() > ends:
                break
    return made


def describe(judgements: Sequence[Judgement]) -> str:
    """Return how many were made and refused, and what share might be (Clopper-Pearson, one-sided)."""
    refused = [each for each in judgements if each.law]
    files, seeds = {each.name for each in judgements}, {each.seed for each in judgements}
    made = f"{len(judgements)} judgements of {len(files)} files on {len(seeds)} seeds"
    lines = [f"{made}: {len(refused)} refused"]
    if judgements and not refused:
        at_most = 1 - (1 - CONFIDENCE) ** (1 / len(judgements))
        lines[0] += f"; at most {100 * at_most:.2f} % are, with {CONFIDENCE:.0%} confidence"
    lines += [f"  {each.name}, seed {each.seed}: {each.law} {each.detail}" for each in refused]
    return "\n".join(lines)


def read_records(files: Sequence[Path]) -> list[Judgement]:
    """Return all judgements of records."""
    lines = (line for file in files for line in file.read_bytes().splitlines())
    return [msgspec.json.decode(line, type=Judgement) for line in lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge and count; return 1 if an honest file was refused."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.false_refusals", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="of each file")
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="files side by side")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--count", type=Path, nargs="+", help="count these records alone")
    given = parser.parse_args(arguments)
    made = read_records(given.count) if given.count else _judge(given)
    sys.stdout.write(describe(made) + "\n")
    return any(each.law for each in made)


def _judge(given: argparse.Namespace) -> list[Judgement]:
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    judge = partial(judge_file, seeds=seeds, ends=time.time() + 60 * given.minutes)
    made: list[Judgement] = []
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, mp_context=spawning) as pool:
        for done in as_completed([pool.submit(judge, name, source) for name, source in honest_files()]):
            made += done.result()
            if given.record:
                with given.record.open("ab") as stream:
                    stream.writelines(msgspec.json.encode(each) + b"\n" for each in done.result())
    return made


if __name__ == "__main__":
    sys.exit(main())
