"""The whole way: one machine keeps the plans of a change, another judges by them and runs nothing of it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.selftest.support.made_up_books import forge_for, read_index
from tests.selftest.support.made_up_repository import commit, git, make_repository

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
KERNEL = "kernels/alexnet_conv1.py"
PARTS = ("kernelgate", "kernels", "baselines", "tests/gate", "pyproject.toml", "conftest.py")
SPARED = ("calls-differ", "new-contents", "two-models", "ways", "earlier-answers")


class Machine:
    """A checkout of main, and a repository in which a kernel is proposed."""

    def __init__(self, folder: Path, proposed: str) -> None:
        self.folder, self.main, self.change = folder, folder / "main", folder / "change"
        for name in PARTS:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            (self.main / name).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, self.main / name)
        make_repository(self.main)
        commit(self.main, {})
        git(folder, "clone", "--quiet", str(self.main), str(self.change))
        (self.change / KERNEL).write_text(proposed, encoding="utf-8")
        commit(self.change, {})

    def judge(self, *options: str) -> tuple[int, str]:
        """Return the exit code and the output of `kernelgate judge-change`."""
        shutil.rmtree(self.folder / "reports", ignore_errors=True)
        command = [sys.executable, "-m", "kernelgate", "judge-change", "--repository", str(self.change)]
        command += ["--reports", str(self.folder / "reports"), "--profile", "ci", *options]
        environment = os.environ | {"PYTHONPATH": str(self.main)}
        ended = subprocess.run(
            command, cwd=self.main, env=environment, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(
            (self.folder / "reports" / "alexnet_conv1" / "report.json").read_bytes()
        )
        return report


ACCEPTED = (ROOT / KERNEL).read_text(encoding="utf-8")
PROPOSED = ACCEPTED.replace("num_stages=3", "num_stages=4")
RAISES = PROPOSED.replace("\nclass ModelNew", "\nNOBODY_GETS_HERE = 1 // 0\n\n\nclass ModelNew", 1)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the plans that a hosted machine kept of the proposed kernel."""
    hosted = Machine(tmp_path_factory.mktemp("hosted"), PROPOSED)
    code, said = hosted.judge("--keep-plans", str(hosted.folder / "plans"))
    assert code == 0, said
    assert hosted.report["book"]["judged_by"] is False
    return hosted.folder / "plans"


def name_of(kernel: str) -> str:
    return hashlib.sha256(kernel.encode()).hexdigest()


def test_a_change_is_judged_by_its_plans_packed_or_not(books: Path, tmp_path: Path) -> None:
    """Every law that needs no call of the file is tried; the report names the book, and what was spared."""
    assert read_index(books / name_of(PROPOSED))["kernel_sha256"] == name_of(PROPOSED)
    archive = shutil.make_archive(str(tmp_path / "plans"), "zip", books)
    machine = Machine(tmp_path, PROPOSED)
    code, said = machine.judge("--plans", archive)
    assert code == 0, said
    report = machine.report
    assert (report["verdict"], report["stages"]["correctness"]["status"]) == ("NOT_MEASURED", "passed")
    index = (books / name_of(PROPOSED) / "book.json").read_bytes()
    gpus = ["NVIDIA GeForce RTX 4090", "NVIDIA H200"]
    assert report["book"] == {"sha256": hashlib.sha256(index).hexdigest(), "judged_by": True, "gpus": gpus}
    laws = {line["law"]: line for line in report["stages"]["correctness"]["result"]["laws"]}
    assert {law for law in laws if "needs the file called" in laws[law]["note"]} == set(SPARED)
    assert laws["hard-bound"]["status"] == laws["domain"]["status"] == "held"
    assert "the file was not run" in (tmp_path / "reports" / "summary.md").read_text(encoding="utf-8")


def test_nothing_of_the_file_is_run(books: Path, tmp_path: Path) -> None:
    """One that raises when it is imported is judged by a forged book: a verdict binds plans, not the file.

    Called, as a push to main calls it, it is refused.
    """
    shutil.copytree(books, tmp_path / "plans")
    forged = (tmp_path / "plans" / name_of(PROPOSED)).rename(tmp_path / "plans" / name_of(RAISES))
    forge_for(forged, name_of(RAISES))
    machine = Machine(tmp_path, RAISES)
    code, said = machine.judge("--plans", str(tmp_path / "plans"))
    assert (code, machine.report["verdict"]) == (0, "NOT_MEASURED"), said
    code, said = machine.judge()
    assert (code, machine.report["verdict"]) == (1, "WRONG"), said
    assert "ZeroDivisionError" in said


def test_a_kernel_without_a_book_of_its_own_is_refused(books: Path, tmp_path: Path) -> None:
    """That of another file, in its place, is none."""
    other = ACCEPTED.replace("num_stages=3", "num_stages=2")
    shutil.copytree(books, tmp_path / "plans")
    machine = Machine(tmp_path, other)
    for replace in (False, True):
        if replace:
            (tmp_path / "plans" / name_of(PROPOSED)).rename(tmp_path / "plans" / name_of(other))
        code, said = machine.judge("--plans", str(tmp_path / "plans"))
        assert (code, machine.report["reason"]) == (1, "plan-book"), said
    assert f"is of kernel file '{name_of(PROPOSED)}'" in said
