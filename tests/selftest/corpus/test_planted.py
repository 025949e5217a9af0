"""Every planted fault is found by the planned cases, on every seed, and no honest file is refused.

With a GPU all of the corpus is judged, without one what needs none:
`pytest tests/selftest/corpus -n auto`. Without one, honest files share the planned cases among them:
each is tried on one in `--plan-share`, the first of each group on all.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kernelgate.machine.gpu import GpuError, find_gpu, visible_gpus
from kernelgate.settings import load_settings
from tests.selftest.corpus.planted.base import LookAlike, Planted
from tests.selftest.corpus.planted.cases import Choose, as_planned, kinds_in_turn, one_in
from tests.selftest.corpus.planted.corpus import faults, look_alikes
from tests.selftest.corpus.planted.judging import Corpus, Judged

ROOT = Path(__file__).resolve().parents[3]
FIRST_SEED = 1000
HAS_GPU = bool(visible_gpus())

pytestmark = pytest.mark.corpus

JudgeEntry = Callable[[str, Planted | LookAlike, Choose], list[Judged]]


def judgeable(entry: Planted | LookAlike) -> bool:
    """Whether the entry can be judged on this machine."""
    return HAS_GPU or not entry.gpu_only


@pytest.fixture
def judge(pytestconfig: pytest.Config, tmp_path: Path) -> JudgeEntry:
    """Return what judges an entry on every seed, and appends what was seen to the record asked for."""
    seeds = range(FIRST_SEED, FIRST_SEED + pytestconfig.getoption("--corpus-seeds"))
    record = pytestconfig.getoption("--corpus-record")
    try:
        gpu = find_gpu()
    except GpuError:
        gpu = None
    corpus = Corpus(
        settings=load_settings(ROOT / "pyproject.toml"),
        gpu=gpu,
        gpus=visible_gpus()[:1],
        with_relations=not pytestconfig.getoption("--general-laws"),
    )

    def judge(group: str, entry: Planted | LookAlike, choose: Choose) -> list[Judged]:
        file = tmp_path / "candidate.py"
        file.write_text(entry.source, encoding="utf-8")
        names = corpus.names(file)
        # As in the gate, what its text refuses is not run; a record tells what the laws see of it, once.
        tried = seeds[:1] if names else seeds
        chosen = as_planned if record else choose  # a record tells what the gate itself would say
        judging = corpus.judge(file, tried, chosen, entry.operation)
        run = judging if record or not names else ((seed, "", "", 0.0) for seed in tried)
        judged = [
            Judged(
                group=group,
                name=entry.name,
                says=entry.looks if isinstance(entry, LookAlike) else entry.breaks,
                honest=isinstance(entry, LookAlike),
                on_gpu=gpu is not None,
                seed=seed,
                law=law,
                detail=detail[:600],
                names=names,
                seconds=round(seconds, 2),
            )
            for seed, law, detail, seconds in run
        ]
        if record:
            with Path(record).open("ab") as stream:
                stream.write(b"".join(msgspec.json.encode(each) + b"\n" for each in judged))
        return judged

    return judge


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take the entries that this machine can judge, or a share of them."""
    for argument, entries in (("fault", faults()), ("honest", look_alikes())):
        if argument in metafunc.fixturenames:
            one = metafunc.config.getoption(f"--{argument}-share")
            turn = metafunc.config.getoption("--share-turn") % one
            share = [(group, entry) for group, entry in entries if judgeable(entry)][turn::one]
            metafunc.parametrize(("group", argument), share, ids=[entry.name for _, entry in share])


def choose_for(group: str, honest: LookAlike, share: int) -> Choose:
    """Return which planned cases an honest file is tried on."""
    members = [entry for of_group, entry in look_alikes() if of_group == group]
    number = members.index(honest)
    # What a file decides by values must go both ways over all cases, not over some.
    return one_in(share, number) if number and group != "decision_alikes" else as_planned


def test_a_planted_fault_is_found_on_every_seed(judge: JudgeEntry, group: str, fault: Planted) -> None:
    """Nothing that is wrong or dishonest is called right."""
    missed = [each.seed for each in judge(group, fault, kinds_in_turn) if not each.is_found]
    assert not missed, f"{fault.breaks}: not found on seeds {missed}"


def test_an_honest_file_is_not_refused(
    judge: JudgeEntry, pytestconfig: pytest.Config, group: str, honest: LookAlike
) -> None:
    """However suspicious it looks."""
    choose = choose_for(group, honest, pytestconfig.getoption("--plan-share", 1))
    judged = judge(group, honest, choose)
    refused = [f"seed {each.seed}: {each.law} {each.detail}" for each in judged if each.is_found]
    assert not refused, f"{honest.looks}: " + "; ".join(refused)
