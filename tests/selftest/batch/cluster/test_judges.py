"""A batch on several hosts: the verdicts of one host, and none is lost with the host that judges it."""

import contextlib
import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

import kernelgate
from kernelgate.batch import follow
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result
from kernelgate.batch.side_by_side.in_turn import ATTEMPTS
from kernelgate.cli.main import main
from kernelgate.judging.watch import Silent
from kernelgate.reporting.report_files import read_report
from kernelgate.verdict import Outcome, Reason
from tests.selftest.batch.cluster.conftest import NODE
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.test_pytest_plugin import wait_for

pytest.importorskip("ray")

from kernelgate.batch.cluster import judges
from kernelgate.batch.cluster.host_judge import describe_host
from kernelgate.batch.cluster.seat import find_difference

JUDGE = "kernelgate.batch.side_by_side.judge_process"
RELU = WRITTEN["relu"]


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    """Have a problem, a right kernel and a wrong one, and a folder of files without their form."""
    Path("problem.py").write_text(RELU.problem)
    Path("right.py").write_text(RELU.kernel)
    Path("wrong.py").write_text(RELU.kernel.replace(*RELU.fault))
    (folder / "many").mkdir()
    for number in range(4):
        Path("many", f"c{number}.py").write_text(f"import torch\n# {number % 3}\n")


def judge_on(address: str | None, *files: str, **asked: Any) -> list[Result]:
    asked = {"problem": "problem.py"} | asked
    return list(kernelgate.judge_all(files or ["many"], cluster=address, **asked))


@needs_no_gpu
def test_the_verdicts_are_those_of_this_host(cluster: Any, folder: Path) -> None:
    """Of a wrong kernel, of copies, and of what is no file; reports name files as the caller did."""
    files = [str(folder / "wrong.py"), "many", "nowhere.py"]
    there = judge_on(cluster.address, *files, report_dir="there")
    here = judge_on(None, *files, jobs=1, report_dir="here")
    assert seen(there) == seen(here)
    assert {each.host for each in there if each.sha256} == {os.uname().nodename}
    for each in there:
        if each.report is not None and each.same_as is None:
            report = read_report(Path(each.report, "report.json"))
            assert (report.candidate.path, report.verdict) == (each.file, each.verdict)
            assert Path(each.report, "report.html").is_file()
            texts = [file.read_bytes() for file in Path(each.report).iterdir()]
            assert not any(b"/kernelgate-" in text for text in texts)
    assert [each.reused for each in judge_on(None, *files[:2], jobs=1, report_dir="there")] == [True] * 5


def seen(results: list[Result]) -> dict[str, Any]:
    return {
        each.file: (each.verdict, each.reason, each.detail, each.next_step, each.asked, each.same_as)
        for each in results
    }


@needs_no_gpu
def test_what_a_lost_judge_was_at_is_judged(cluster: Any) -> None:
    """Whether its process is killed, or the actor that has it, or its node leaves the cluster."""
    Path("also_wrong.py").write_text(Path("wrong.py").read_text() + "# another\n")
    thread = threading.Thread(target=lose_three, args=(cluster,))
    thread.start()
    judged = judge_on(cluster.address, "right.py", "wrong.py", "also_wrong.py")
    thread.join()
    cluster.add_node(**NODE)
    assert {each.file: each.verdict for each in judged} == {
        "right.py": Outcome.NOT_MEASURED,
        "wrong.py": Outcome.WRONG,
        "also_wrong.py": Outcome.WRONG,
    }


def lose_three(cluster: Any) -> None:
    """Once all three are at work: the head stays, since it is the cluster."""
    judges: list[psutil.Process] = []

    def all_have_workers() -> bool:
        judges[:] = find_busy()
        return len(judges) == 3

    wait_for(all_have_workers)
    first, second, third = sorted(judges, key=lambda judge: not is_on(judge, cluster.head_node))
    node = next(each for each in cluster.list_all_nodes() if is_on(third, each))
    first.kill()
    second.parent().kill()
    cluster.remove_node(node, allow_graceful=False)


def find_busy() -> list[psutil.Process]:
    """Return the judges that have workers by now."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that ends meanwhile
            if JUDGE in each.cmdline() and each.children():
                found.append(each)
    return found


def is_on(judge: psutil.Process, node: Any) -> bool:
    (raylet,) = node.all_processes["raylet"]
    return raylet.process.pid in {each.pid for each in judge.parents()}


def test_requests_are_answered_with_their_stages(cluster: Any) -> None:
    """As they end, each with its id."""
    asked = [{"id": "a", "source": "import triton\n"}, {"id": 2, "file": "many/c0.py"}]
    lines, output = "".join(json.dumps(each) + "\n" for each in asked), io.StringIO()
    options = {"operation": "softmax", "report_dir": "reports", "cluster": cluster.address}
    follow.follow(io.BytesIO(lines.encode()), output, options, None)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    stages = {each["id"]: (each["stage"], each["status"]) for each in events if each["event"] == "stage"}
    assert stages == {"a": ("format", "failed"), 2: ("format", "failed")}
    verdicts = {each["id"]: each["result"]["verdict"] for each in events if each["event"] == "judged"}
    assert verdicts == {"a": "FORBIDDEN", 2: "FORBIDDEN"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cluster", "127.0.0.1:1"], "--cluster 127.0.0.1:1: cannot be reached: "),
        (["--cluster", "ray://127.0.0.1:1"], "--cluster ray://127.0.0.1:1: cannot be reached: "),
        (["--cluster", "nonsense"], "--cluster nonsense: cannot be reached: "),
        (["--cluster", "ADDRESS", "--jobs", "9"], "--jobs 9: allowed 1 to 3"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_named(
    cluster: Any, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is judged, with the exit code of what cannot be judged."""
    words = [cluster.address if word == "ADDRESS" else word for word in words]
    assert main(["judge", "many", "--operation", "softmax", *words]) == 2
    assert said in capsys.readouterr().err


def test_ray_that_is_missing_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the extra that brings it."""
    monkeypatch.delitem(sys.modules, "kernelgate.batch.cluster.judges")
    monkeypatch.delitem(sys.modules, "kernelgate.batch.cluster.connection")
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["judge", "many", "--operation", "softmax", "--cluster", "auto"]) == 2
    assert "pip install 'kernelgate[cluster]'" in capsys.readouterr().err


def test_a_candidate_whose_judge_is_lost_each_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried so often and no more, and the others go on."""
    tried: list[str] = []

    class Lost:
        fault, is_over, lock = "", False, threading.Lock()

        def is_ready(self) -> bool:
            return True

        def carry_out(self, order: Order, *_: Any) -> None:
            tried.append(order.file)

    monkeypatch.setattr(judges._Store, "put", lambda *_: None)
    lost = judges.ClusterJudges([Lost(), Lost()], (), lambda _: Silent(), is_own=False)
    orders = [
        Order(options={"candidate": file}, project=None, sha256="0", asked=file, report_dir=file)
        for file in ("right.py", "wrong.py")
    ]
    judged = {order.file: result for order, result in lost.judge(orders)}
    assert {each.reason for each in judged.values() if each} == {Reason.NOT_JUDGED}
    assert judged.keys() == {"right.py", "wrong.py"}
    assert sorted(tried) == ["right.py"] * ATTEMPTS + ["wrong.py"] * ATTEMPTS


def test_a_host_with_another_gate_does_not_judge() -> None:
    """Its verdicts would not follow from what the results say."""
    here = describe_host()
    assert find_difference(here, here) is None
    assert "another version" in (find_difference(replace(here, gate="0"), here) or "")
    other = replace(here, environment=replace(here.environment, torch="1.0"))
    assert "torch='1.0'" in (find_difference(other, here) or "")
