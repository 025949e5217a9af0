"""How a gate is run for each kernel of a change: on which bytes, from where, by whose settings."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from kernelgate.operations import OPERATIONS
from kernelgate.pull_request.change import Change, ChangeError, Proposed
from kernelgate.pull_request.judge import MIN_FREE_BYTES, JudgeSetup, RoomError, judge_accepted, judge_change
from tests.selftest.support.made_up_gate import A, B, judge, judge_one, make_setup

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("measure", [False, True])
def test_kernels_are_timed_where_that_is_asked_for(tmp_path: Path, measure: bool) -> None:
    """And only there."""
    setup = make_setup(tmp_path, "said['detail'] = f'{asked.measure} {asked.no_measure}'", measure=measure)
    assert judge(setup, {A: b""})[0].detail == f"{measure} {not measure}"


@pytest.mark.parametrize("profile", ["nightly", None])
def test_how_much_is_drawn_is_passed_on(tmp_path: Path, profile: str | None) -> None:
    """Nothing is, where nothing was asked for."""
    setup = make_setup(tmp_path, "said['detail'] = str(asked.profile)", profile=profile)
    assert judge(setup, {A: b""})[0].detail == str(profile)


@pytest.mark.parametrize("option", ["plans", "keep_plans"])
def test_each_kernel_has_a_plan_book_of_its_own(tmp_path: Path, option: str) -> None:
    """In a folder that the sha256 of its bytes names, whatever its file is called."""
    plant = f"said['detail'] = os.path.relpath(asked.{option}, '{tmp_path}')"
    setup = msgspec.structs.replace(make_setup(tmp_path, plant), **{option: tmp_path / "books"})
    contents = {A: b"# a", B: b"# b"}
    told = [each.detail for each in judge(setup, contents)]
    assert told == [f"books/{hashlib.sha256(content).hexdigest()}" for content in contents.values()]


def test_without_plan_books_the_gate_is_told_of_none(tmp_path: Path) -> None:
    """It runs the file, and keeps no plans."""
    assert judge_one(tmp_path, "said['detail'] = f'{asked.plans} {asked.keep_plans}'").detail == "None None"


def test_the_gate_is_told_what_to_judge_by_names_from_the_reports_folder(tmp_path: Path) -> None:
    """So that no report holds the machine's paths; the rule is the gate's own choice."""
    asked = (
        "[asked.candidate, asked.operation, asked.report_dir, str(asked.rule), asked.project, os.getcwd()]"
    )
    plant = f"said['detail'] = ' '.join({asked})"
    expected = f"{A} alexnet_conv1 alexnet_conv1_a None {tmp_path / 'root'} {tmp_path / 'reports'}"
    assert judge_one(tmp_path, plant).detail == expected


def test_what_was_said_before_stands_before_what_the_gate_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a log too, which is no terminal."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    program = (
        "import sys, pathlib; from tests.selftest.support.made_up_gate import judge_one; print('before'); "
    )
    program += "judge_one(pathlib.Path(sys.argv[1])); print('after')"
    command = [sys.executable, "-c", program, str(tmp_path)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout.decode()
    assert said == "before\njudged\nafter\n"


def test_the_package_that_judges_is_that_of_the_bench(tmp_path: Path) -> None:
    """Not the one that is installed, nor one beside the reports."""
    setup = make_setup(tmp_path, "import kernelgate; said['detail'] = kernelgate.__doc__")
    assert judge(setup, {A: b""})[0].detail == "Of the setup."


@pytest.mark.parametrize(
    "content", [b"", b"# crlf\r\n", b"\0\xff\xfe", b"no end of line", b"\xef\xbb\xbfx\n\n"]
)
def test_the_bytes_that_are_judged_are_those_of_the_commit(tmp_path: Path, content: bytes) -> None:
    """Exactly; they stay beside the report."""
    (judged,) = judge(make_setup(tmp_path, "said['detail'] = content.hex()"), {A: content})
    assert judged.passes
    assert bytes.fromhex(judged.detail) == (tmp_path / "reports" / A).read_bytes() == content


def test_each_kernel_of_a_change_is_judged(tmp_path: Path) -> None:
    """In their order, and one that fails stops none."""
    wrong = "dict(verdict='WRONG', passes=False) if content == b'# bad' else {}"
    plant = f"said.update({wrong}, detail=content.decode())"
    contents = {A: b"# bad", B: b"# good"}
    judged = judge(make_setup(tmp_path, plant), contents)
    assert [(each.kernel, each.passes, each.detail, each.folder) for each in judged] == [
        (A, False, "# bad", "alexnet_conv1_a"),
        (B, True, "# good", "alexnet_conv1_b"),
    ]


def test_a_kernel_that_the_repository_lacks_is_an_error(tmp_path: Path) -> None:
    """Never one kernel less."""
    setup = make_setup(tmp_path)
    judge(setup, {})
    missing = Proposed(path=A, blob="1" * 40, operation="alexnet_conv1")
    shutil.rmtree(setup.reports)
    with pytest.raises(ChangeError):
        judge_change(setup, tmp_path / "repository", Change(kernels=(missing,), refused=(), edited={}))


@pytest.fixture
def accepting(tmp_path: Path) -> JudgeSetup:
    """Return a setup with an accepted kernel, whose gate says by which rule it judges."""
    setup = make_setup(
        tmp_path, "said.update(detail=f'{asked.rule} {asked.operation}', verdict='NO_REGRESSION')"
    )
    (setup.root / "kernels").mkdir()
    for name in OPERATIONS:
        (setup.root / "kernels" / f"{name}.py").write_bytes(b"# accepted\r\n")
    return setup


def test_a_project_guards_what_it_has(accepting: JudgeSetup) -> None:
    """Problems of its own too; an operation without a kernel is none of its own."""
    for name in OPERATIONS[1:]:
        (accepting.root / "kernels" / f"{name}.py").unlink()
    (accepting.root / "kernels" / "rms.py").write_bytes(b"# accepted")
    own = msgspec.structs.replace(accepting, problems=("rms", "later"))
    assert [each.detail for each in judge_accepted(own)] == ["guard rms", f"guard {OPERATIONS[0]}"]


def test_accepted_kernels_are_judged_by_rule_guard(accepting: JudgeSetup) -> None:
    """All of them, as they lie in the folder."""
    everything = judge_accepted(accepting)
    assert [each.kernel for each in everything] == [f"kernels/{name}.py" for name in OPERATIONS]
    for judged, name in zip(everything, OPERATIONS, strict=True):
        assert (judged.detail, judged.rule, judged.passes) == (f"guard {name}", "guard", True)
        assert (accepting.reports / judged.kernel).read_bytes() == b"# accepted\r\n"


def test_an_accepted_kernel_that_is_missing_is_an_error(accepting: JudgeSetup) -> None:
    """Never nothing to judge, where its original stands."""
    kernels = accepting.root / "kernels"
    (kernels / "alexnet_conv1.py").rename(kernels / "alexnet_conv1_original.py")
    with pytest.raises(FileNotFoundError):
        judge_accepted(accepting)


STRANGE = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--collect-only"]\n',
    "pytest.ini": "[pytest]\naddopts = --collect-only\n",
    "tox.ini": "[pytest]\naddopts = --collect-only\n",
    "conftest.py": "raise RuntimeError('loaded')\n",
    "kernels/conftest.py": "raise RuntimeError('loaded')\n",
    "pytest.py": "raise RuntimeError('loaded')\n",
    "json.py": "raise RuntimeError('loaded')\n",
    "sitecustomize.py": "raise RuntimeError('loaded')\n",
}


@pytest.mark.parametrize("name", [name for name in STRANGE if "/" not in name])
def test_what_lies_above_the_reports_is_nobodys_settings(tmp_path: Path, name: str) -> None:
    """Nor is it loaded: anyone may have left it there."""
    (tmp_path / "above").mkdir()
    (tmp_path / "above" / name).write_text(STRANGE[name])
    setup = make_setup(tmp_path)
    reports = tmp_path / "above" / "reports"
    (judged,) = judge(JudgeSetup(root=setup.root, reports=reports, measure=False), {A: b""})
    assert judged.passes


def test_what_one_judgement_leaves_among_the_reports_is_nobodys_settings(tmp_path: Path) -> None:
    """A kernel that writes where it must not does not judge the next one."""
    leave = f"[pathlib.Path(name).write_text(text) for name, text in {STRANGE!r}.items()]"
    plant = f"said['detail'] = ' '.join(os.listdir()); {leave}"
    first, second = judge(make_setup(tmp_path, plant), {A: b"", B: b""})
    assert {Path(name).parts[0] for name in STRANGE} <= set(second.detail.split())
    assert (first.passes, second.passes) == (True, True)


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_reports_of_another_change_are_not_mixed_with_these(tmp_path: Path, kind: str) -> None:
    """The folder must be new."""
    setup = make_setup(tmp_path)
    {
        "folder": setup.reports.mkdir,
        "file": setup.reports.touch,
        "link": lambda: setup.reports.symlink_to(tmp_path / "nowhere"),
    }[kind]()
    with pytest.raises(RoomError, match=f"{setup.reports}: exists already; name a new folder"):
        judge(setup, {A: b""})


@pytest.mark.parametrize("place", ["reports", "temporary"])
def test_a_full_disk_is_named_before_anything_is_judged(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is free and what is needed; once there is room, the same command runs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    setup = make_setup(tmp_path)
    full = {tmp_path / place: 10 * 2**20}
    (tmp_path / "temporary").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(
            shutil, "disk_usage", lambda where: SimpleNamespace(free=full.get(where, MIN_FREE_BYTES))
        )
        with pytest.raises(RoomError, match=f"10 MiB free under {tmp_path / place}, 1024 MiB are needed"):
            judge(setup, {A: b""})
        full.clear()
        assert judge(setup, {A: b""})[0].passes
