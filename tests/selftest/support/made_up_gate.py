"""A gate that passes whatever it is given within a moment, with anything planted in what it leaves."""

from pathlib import Path

import msgspec

from kernelgate.pull_request.change import Change, Proposed
from kernelgate.pull_request.judge import Judged, JudgeSetup, judge_change
from tests.selftest.support.made_up_reports import make_report_of
from tests.selftest.support.made_up_repository import hash_content, make_repository

A, B = "kernels/alexnet_conv1_a.py", "kernels/alexnet_conv1_b.py"

GATE = """
import argparse, hashlib, json, os, pathlib, signal, sys

REPORT = ...
parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["judge"])
parser.add_argument("candidate")
for name in ("project", "operation", "report-dir", "rule", "profile", "plans", "keep-plans"):
    parser.add_argument(f"--{name}")
for name in ("measure", "no-measure"):
    parser.add_argument(f"--{name}", action="store_true")
asked = parser.parse_args()

def main():
    status = 0
    content = pathlib.Path(asked.candidate).read_bytes()
    folder = pathlib.Path(asked.report_dir)
    folder.mkdir()
    report = folder / "report.json"
    (folder / "report.md").write_text("# the page of " + asked.candidate)
    said = json.loads(REPORT) | {
        "verdict": "KEEP",
        "reason": "proven-gain",
        "detail": "as it should be",
        "next_step": "Keep it.",
        "passes": True,
        "rule": asked.rule or "tune",
        "candidate": {"path": asked.candidate, "sha256": hashlib.sha256(content).hexdigest()},
    }
    write = lambda: report.write_text(json.dumps(said))
    print("judged", flush=True)
    PLANT
    write()
    return status

sys.exit(main())
"""


def make_setup(
    folder: Path, plant: str = "pass", measure: bool = False, profile: str | None = None
) -> JudgeSetup:
    """Return a setup under the folder; `plant` is what its gate does before it writes, in one line."""
    root = folder / "root"
    (root / "kernelgate").mkdir(parents=True)
    report = msgspec.json.encode(make_report_of()).decode()
    (root / "kernelgate" / "__init__.py").write_text('"""Of the setup."""')
    (root / "kernelgate" / "__main__.py").write_text(
        GATE.replace("PLANT", plant).replace("...", repr(report), 1)
    )
    return JudgeSetup(root=root, reports=folder / "reports", measure=measure, profile=profile)


def judge(setup: JudgeSetup, contents: dict[str, bytes]) -> list[Judged]:
    """Return how these files fare, proposed by a change of a real repository beside the setup."""
    repository = setup.root.parent / "repository"
    make_repository(repository)
    kernels = tuple(
        Proposed(path=path, blob=hash_content(repository, content), operation="alexnet_conv1")
        for path, content in contents.items()
    )
    return judge_change(setup, repository, Change(kernels=kernels, refused=(), edited={}))


def judge_one(folder: Path, plant: str = "pass") -> Judged:
    """Return how one kernel fares before a gate with this planted in it."""
    (judged,) = judge(make_setup(folder, plant), {A: b"# a\n"})
    return judged
