"""The job that publishes the history: off by default, and drawn of what the last nights measured."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.selftest.support.html_reader import Page

ROOT = Path(__file__).resolve().parents[3]
NIGHTLY = (ROOT / ".github/workflows/nightly.yml").read_text(encoding="utf-8")
JOB = NIGHTLY[NIGHTLY.index("\n  pages:\n") :]
EXAMPLES = ROOT / "docs" / "examples"

GH = """#!/usr/bin/env python3
# Three runs: of one the night was timed, of one it was not, and one kept nothing.
import pathlib, shutil, sys
if sys.argv[1:3] == ["run", "list"]:
    print("1\\n2\\n3")
elif sys.argv[3] == "3":
    sys.exit("no artifact matches any of the names")
else:
    folder = pathlib.Path(sys.argv[sys.argv.index("--dir") + 1]) / "guarded" / "alexnet_conv1"
    folder.mkdir(parents=True)
    shutil.copy({"1": TIMED, "2": UNTIMED}[sys.argv[3]], folder)
"""


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    """Give the folder that the script fetched from a GitHub that was pretended."""
    (tmp_path / "bin").mkdir()
    timed, untimed = (EXAMPLES / name / "report.json" for name in ("itself", "wrong"))
    stand_in = tmp_path / "bin" / "gh"
    stand_in.write_text(GH.replace("UNTIMED", repr(str(untimed))).replace("TIMED", repr(str(timed))))
    stand_in.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    script = ROOT / ".github/scripts/fetch-nights.sh"
    subprocess.run([script, tmp_path / "nights"], env=environment, check=True, capture_output=True)
    return tmp_path / "nights"


def test_nothing_is_published_unless_a_maintainer_says_so() -> None:
    """And no other job may write."""
    assert "if: ${{ !cancelled() && vars.KERNELGATE_PAGES == 'true' }}" in JOB
    assert "runs-on: ubuntu-24.04" in JOB
    assert ": write" not in NIGHTLY.replace(JOB, "")


def test_only_nights_that_were_timed_are_kept(nights: Path) -> None:
    """A night that kept nothing, or judged without a time, stops no other."""
    (report,) = nights.rglob("report.json")
    assert report.relative_to(nights) == Path("1/guarded/alexnet_conv1/report.json")
    assert json.loads(report.read_text())["verdict"] == "NO_REGRESSION"


@pytest.mark.parametrize("is_first", [False, True])
def test_the_step_draws_a_page_for_each_operation(nights: Path, tmp_path: Path, is_first: bool) -> None:
    """As it stands in the workflow; before the first night of records alone."""
    (step,) = re.findall(r"name: Draw the history.*\n        run: \|\n((?:          .*\n)+)", JOB)
    if is_first:
        nights = nights.rename(tmp_path / "elsewhere")
    script = step.replace(".venv/bin/python", sys.executable)
    environment = os.environ | {"RUNNER_TEMP": str(tmp_path)}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=ROOT, env=environment, check=True)
    page = (tmp_path / "pages" / "alexnet_conv1.html").read_text(encoding="utf-8")
    listed = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert 'href="alexnet_conv1.html"' in listed
    assert 'href="matmul.html"' in listed
    assert len(Page(page).all("circle", "today")) == int(not is_first)
