"""Records of a project's own problem: of one version of its file, as well as of a kernel and a GPU."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.records import ProblemVersion, SpeedRecord
from kernelgate.baselines.store import BaselineError, accept, load_speed, propose
from kernelgate.cli.main import main
from kernelgate.files import digest_file
from tests.selftest.support.made_up_records import make_record
from tests.selftest.support.own_project import KERNEL, PROBLEM, begin_project, edit_problem, records_of

GPU = "NVIDIA H200"
VERSION = ProblemVersion(sha256="b" * 64, math="tf32")
OF_THE_PROBLEM = make_record(operation="rms", problem=VERSION)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return begin_project(tmp_path / "own")


def load(folder: Path, record: SpeedRecord, **asked: Any) -> SpeedRecord:
    wanted = {"operation": "rms", "gpu": GPU, "kernel_sha256": "a" * 64, "problem": VERSION}
    return load_speed(propose(record, folder), **(wanted | asked))


def record_of(project: Path, **changes: Any) -> SpeedRecord:
    """Return a record of the project's kernel and problem as they lie there."""
    of_these = {"kernel_sha256": digest_file(project / KERNEL), "problem": records_of(project).problem}
    return make_record(operation="rms", **(of_these | changes))


def accept_in(project: Path, record: SpeedRecord, reason: str = "why") -> int:
    proposal = str(propose(record, project / "gate-report"))
    return main(["accept", proposal, "--root", str(project), "--reason", reason])


def test_an_operations_record_names_no_problem(tmp_path: Path) -> None:
    """Files written before there were others stay what they were."""
    assert "problem" not in json.loads(propose(make_record(), tmp_path).read_bytes())


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"problem": ProblemVersion(sha256="c" * 64, math="tf32")}, "other-problem"),
        ({"problem": ProblemVersion(sha256="b" * 64, math="float32")}, "other-problem"),
        ({"problem": msgspec.UNSET}, "other-operation"),
        ({"operation": "softmax"}, "other-operation"),
        ({"gpu": "NVIDIA L4"}, "other-gpu"),
        ({"kernel_sha256": "c" * 64}, "stale"),
    ],
)
def test_a_record_is_of_what_it_names_alone(tmp_path: Path, asked: dict[str, Any], reason: str) -> None:
    """The name of a problem says nothing of its contents."""
    assert load(tmp_path, OF_THE_PROBLEM) == OF_THE_PROBLEM
    with pytest.raises(BaselineError) as caught:
        load(tmp_path, OF_THE_PROBLEM, **asked)
    assert caught.value.reason == reason


def test_a_record_without_its_problem_is_refused(tmp_path: Path) -> None:
    """A deleted line does not make it fit any file."""
    with pytest.raises(BaselineError, match="other-operation"):
        load(tmp_path, make_record(operation="rms"))


def test_only_an_operation_needs_a_record() -> None:
    """A problem without one is judged by the rule alone."""
    folder = RecordFolder(root=Path("here"), name="rms", problem=VERSION)
    assert not folder.is_required
    assert RecordFolder(root=Path("here"), name="softmax").is_required
    assert folder.path("sm_89") == Path("here/baselines/rms/sm_89.json")


def test_a_proposal_is_accepted_in_a_project_of_ones_own(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twice: the history goes on, and is shown beside PyTorch."""
    assert accept_in(project, record_of(project), "first") == 0
    assert accept_in(project, record_of(project), "again") == 0
    stored = json.loads((project / "baselines/rms/nvidia-h200.json").read_bytes())
    assert [line["reason"] for line in stored["history"]] == ["first", "again"]
    capsys.readouterr()
    assert main(["history", "--root", str(project)]) == 0
    said = capsys.readouterr().out
    assert "rms, the accepted kernel against PyTorch" in said
    assert "gain over PyTorch" in said
    page = project / "history.html"
    assert main(["history", "--root", str(project), "--operation", "rms", "--html", str(page)]) == 0
    assert "less time than PyTorch" in page.read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kernel_sha256": "c" * 64}, "stale"),
        ({"problem": VERSION}, "other-problem"),
        ({"problem": msgspec.UNSET}, "other-problem"),
        ({"operation": "rms_2"}, "other-operation"),
    ],
)
def test_a_proposal_of_something_else_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    """And nothing is written."""
    assert accept_in(project, msgspec.structs.replace(record_of(project), **changes)) == 1
    assert f"baseline.proposed.json: {said}: " in capsys.readouterr().err
    assert not (project / "baselines").exists()


def test_a_changed_problem_begins_a_history(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Times by the file as it was say nothing of later ones; its proposals are refused."""
    before = record_of(project)
    assert accept_in(project, before, "before") == 0
    edit_problem(project)
    assert accept_in(project, before) == 1
    assert "other-problem" in capsys.readouterr().err
    assert accept_in(project, record_of(project), "after") == 0
    stored = json.loads((project / "baselines/rms/nvidia-h200.json").read_bytes())
    assert [line["reason"] for line in stored["history"]] == ["after"]


def test_a_problem_whose_file_is_gone_has_no_proposals(project: Path) -> None:
    """Nothing says what they would be of."""
    record = record_of(project)
    (project / PROBLEM).unlink()
    with pytest.raises(BaselineError, match="other-operation"):
        accept(propose(record, project), project, "why", record.kernel_sha256)
    assert accept_in(project, record) == 1


def test_with_several_problems_the_history_asks_which(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is an unknown name taken for an empty history."""
    assert main(["init", "other", "--root", str(project)]) == 0
    for options in ([], ["--operation", "nosuch"]):
        assert main(["history", "--root", str(project), *options]) == 1
        assert "which one? Known: other, rms, alexnet_conv1" in capsys.readouterr().err
