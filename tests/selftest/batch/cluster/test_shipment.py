"""What travels to another host, and how it lies there."""

import subprocess
from pathlib import Path

import pytest

from kernelgate.batch.cluster.shipment import pin_profile, read_candidate, read_files
from kernelgate.batch.cluster.tree import Tree
from kernelgate.batch.engine import Engine
from kernelgate.batch.order import Order
from kernelgate.batch.results_file import ResultsFile
from kernelgate.judging.judge import make_gate
from kernelgate.judging.watch import Silent


@pytest.fixture
def project(folder: Path) -> Path:
    """Make a project whose accepted kernel has changed since the last commit."""
    for name, text in {
        "pyproject.toml": '[tool.kernelgate.problems]\nrelu = "tasks/relu.py"\n',
        "kernels/softmax.py": "# accepted\n",
        "kernels/__pycache__/softmax.pyc": "",
        "baselines/softmax.json": "{}",
        "tasks/relu.py": "",
        "tasks/secret.txt": "",
        ".env": "TOKEN=1",
        "mine.py": "import torch\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "accepted")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "kernels/softmax.py").write_text("# changed\n")
    return folder


def make_order(**options: str) -> Order:
    return Order(options=options, project=None, sha256="0", asked="", report_dir="reports/a")


def test_the_files_that_decide_travel_and_no_others(project: Path) -> None:
    """Of a project its settings, kernels, problems and records."""
    order = make_order(candidate="mine.py")
    assert read_files(order) == {}
    assert read_candidate(order) == b"import torch\n"
    sent = read_files(Order(**{**_fields(order), "project": str(project)}))
    names = ["baselines/softmax.json", "kernels/softmax.py", "pyproject.toml", "tasks/relu.py"]
    assert sorted(sent) == [str(project / name) for name in names]
    assert read_files(make_order(candidate="mine.py", problem="tasks/relu.py")) == {"tasks/relu.py": b""}


def _fields(order: Order) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__struct_fields__}


def test_what_is_no_kernel_file_does_not_travel(folder: Path) -> None:
    """It has no digest, or is gone since."""
    (folder / "folder.py").mkdir()
    for name in ("folder.py", "nowhere.py"):
        assert read_candidate(make_order(candidate=name)) is None


def test_the_kernel_to_beat_is_that_of_the_last_commit(project: Path, tmp_path: Path) -> None:
    """Though whoever judges has no checkout, and the file of today."""
    with ResultsFile(tmp_path) as results:
        order = Engine(results, project, ()).order({"candidate": "mine.py", "operation": "softmax"})
    assert isinstance(order, Order)
    assert order.to_beat is not None
    assert (order.to_beat.path, order.to_beat.source) == ("HEAD:kernels/softmax.py", "# accepted\n")
    gate = make_gate(order.options.get, None, Silent(), to_beat=order.to_beat)
    assert gate.accepted == order.to_beat


def test_the_profile_is_that_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment does not travel; what was asked for stays."""
    order = make_order(candidate="a.py")
    for value, profile in (("", "default"), ("true", "ci")):
        monkeypatch.setenv("CI", value)
        assert pin_profile(order).options["profile"] == profile
    assert pin_profile(make_order(candidate="a.py", profile="nightly")).options["profile"] == "nightly"


def test_files_lie_as_they_did_where_they_come_from() -> None:
    """By relative and by absolute names; those of an order before are gone."""
    tree = Tree("/home/somebody/work")
    files = {"a.py": b"1", "../b.py": b"2", "sub/../c.py": b"3", "/data/d.py": b"4"}
    try:
        tree.hold({"old.py": b"", **files})
        tree.hold(files)
        assert not (tree.directory / "old.py").exists()
        read = {name: (tree.directory / tree.place(name)).read_bytes() for name in files}
        assert read == files
        assert (tree.directory / "../../../data/d.py").resolve().read_bytes() == b"4"
    finally:
        tree.remove()
    assert not tree.directory.exists()


def test_a_report_names_files_as_the_caller_does() -> None:
    """It leaves the folder, and is found under no name of that host."""
    tree = Tree("/home/somebody/work")
    try:
        inside = tree.place("/data/d.py")
        (tree.directory / "reports/a/deep").mkdir(parents=True)
        (tree.directory / "reports/a/deep/report.md").write_text(f"{inside}: wrong")
        assert tree.take("reports/a") == {"deep/report.md": b"/data/d.py: wrong"}
        assert tree.take("reports/a") == {}
    finally:
        tree.remove()
