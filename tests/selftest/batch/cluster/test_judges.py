"""A batch on several hosts: the verdicts of one host, and none is lost with the host that judges it."""

import contextlib
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

import kernelgate
from kernelgate.batch import follow
from kernelgate.batch.result import Result
from kernelgate.cli.main import main
from kernelgate.reporting.report_files import read_report
from kernelgate.verdict import Outcome
from tests.selftest.batch.cluster.conftest import NODE
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.test_pytest_plugin import wait_for

pytest.importorskip("ray")

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
    """Of right and wrong kernels, of copies, and of what is no file; reports name files as the caller did."""
    files = ["right.py", str(folder / "wrong.py"), "many", "nowhere.py"]
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
    assert [each.reused for each in judge_on(None, *files[:3], jobs=1, report_dir="there")] == [True] * 6


def seen(results: list[Result]) -> dict[str, Any]:
    return {
        each.file: (each.verdict, each.reason, each.detail, each.next_step, each.asked, each.same_as)
        for each in results
    }


@needs_no_gpu
def test_what_a_lost_judge_was_at_is_judged(cluster: Any) -> None:
    """Whether its process is killed, or the actor that has it, or its node leaves the cluster."""
    Path("slow.py").write_text(RELU.kernel + "# another\n")
    thread = threading.Thread(target=lose_three, args=(cluster,))
    thread.start()
    judged = judge_on(cluster.address, "right.py", "slow.py", "wrong.py")
    thread.join()
    cluster.add_node(**NODE)
    assert {each.file: each.verdict for each in judged} == {
        "right.py": Outcome.NOT_MEASURED,
        "slow.py": Outcome.NOT_MEASURED,
        "wrong.py": Outcome.WRONG,
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


@needs_no_gpu
def test_requests_are_answered_with_their_stages(cluster: Any) -> None:
    """As they end, each with its id."""
    asked = [{"id": "a", "source": Path("wrong.py").read_text()}, {"id": 2, "file": "many/c0.py"}]
    lines, output = "".join(json.dumps(each) + "\n" for each in asked), io.StringIO()
    options = {"problem": "problem.py", "report_dir": "reports", "cluster": cluster.address}
    follow.follow(io.BytesIO(lines.encode()), output, options, None)
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    verdicts = {each["id"]: each["result"]["verdict"] for each in events if each["event"] == "judged"}
    assert verdicts == {"a": "WRONG", 2: "FORBIDDEN"}
    stages = [each["stage"] for each in events if each["event"] == "stage" and each["id"] == "a"]
    assert stages == ["format", "compile", "stage-rules", "correctness"]


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
