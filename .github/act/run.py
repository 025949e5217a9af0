"""Runs the gate's workflow on this machine with act, as GitHub would for a pull request or a push.

What is judged is the last commit against where it left main; with --candidate, a pull request that puts
that file in the accepted kernel's place. The workflow runs in a clone, with an environment of its own.
Without an NVIDIA GPU only the job `hosted` runs. Exit code: 0 if the workflow passed, 1 if it failed, 2 if it
could not run.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEEPER = Path(__file__).with_name("keeper.py")
OWNER, FORK = "local/kernelgate", "somebody/kernelgate"
MAIN = ("origin/main", "main")
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
PASSED_ON_PREFIXES = (
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
GPU_LABEL = "gpu"
NUMBER = 1
ENDED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunError(Exception):
    """The workflow cannot be run, with what to do."""


def main() -> int:
    """Run the workflow and say what came of it."""
    options = read_options()
    end_in_order()
    # By its name the keeper of a later run knows whether this one is gone.
    place = Path(tempfile.mkdtemp(prefix=f"kernelgate-act-{os.getpid()}-"))
    try:
        return run(options, place)
    except (RunError, OSError) as error:
        print(f"act: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(place, ignore_errors=True)


def end_in_order() -> None:
    """Have signals end this process by an exception, so that it cleans up. What is ignored stays ignored."""
    for number in ENDED_BY:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


def end(number: int, _: FrameType | None) -> None:
    """Leave by the exit code that a shell gives for the signal, once all is cleaned up."""
    for each in ENDED_BY:
        signal.signal(each, signal.SIG_IGN)
    print(f"act: ended by {signal.Signals(number).name}", file=sys.stderr)
    sys.exit(128 + number)


def read_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--candidate", type=Path, metavar="FILE", help="kernel file to propose")
    parser.add_argument("--base", metavar="REV", help="commit to compare with; default: where HEAD left main")
    parser.add_argument(
        "--event", choices=["pull_request", "push"], help="default: pull_request, if HEAD is not main"
    )
    parser.add_argument("--fork", action="store_true", help="as if a fork proposed it")
    parser.add_argument(
        "--all-jobs", action="store_true", help="run the GPU's job without a GPU too: it fails"
    )
    parser.add_argument(
        "--report-dir",
        type=Path,
        default=Path("act-report"),
        metavar="DIR",
        help="where reports and the log go; default: %(default)s",
    )
    return parser.parse_args()


def run(options: argparse.Namespace, place: Path) -> int:
    """Return the exit code, after the workflow has run in a clone in the new folder `place`."""
    act = find_act()
    checkout, artifacts = place / "checkout", place / "artifacts"
    base = lay_out(options, checkout)
    # A first push has nothing before it.
    name = options.event or ("pull_request" if base.strip("0") else "push")
    jobs = ["hosted", "gpu"] if options.all_jobs or has_gpu() else ["hosted"]
    command = [act, name, "--eventpath", write_event(place, checkout, name, base, options.fork)]
    command += [] if len(jobs) > 1 or options.fork else ["--job", "hosted"]
    command += ["--concurrent-jobs", "1"]  # what is timed has the machine to itself
    command += ["--platform", f"{GPU_LABEL}=-self-hosted"] if len(jobs) > 1 else []
    environments = offer_environment(place, checkout)
    for setting in (
        f"ACT_ARTIFACTS={artifacts}",
        f"ACT_CHECKOUT={checkout}",
        f"KERNELGATE_ENVS={environments}",
        f"PYTHON={sys.executable}",
        f"PYTEST_DEBUG_TEMPROOT={place}",  # temporary folders of the self-tests, which pytest keeps
        # act gives its jobs a terminal, and prints each movement of a progress bar as a line.
        "TERM=dumb",
        "NO_COLOR=1",
    ):
        command += ["--env", setting]
    code = follow(under_keeper(command, place), checkout, clean_environment(place), place / "act.log")
    keep(place, options.report_dir)
    return conclude(code, artifacts, jobs if not options.fork else ["hosted"], options.report_dir)


def find_act() -> str:
    """Return the path of act, which is installed beside this interpreter; raises RunError."""
    folder = Path(sys.executable).parent
    if act := shutil.which("act", path=str(folder)):
        return act
    raise RunError(f"act is not in {folder}: run `make setup`, or start this by `make act`")


def under_keeper(command: list[str], place: Path) -> list[str]:
    """Return what runs the command so that nothing of it outlives this process."""
    return [sys.executable, "-P", str(KEEPER), str(place), *command]


def lay_out(options: argparse.Namespace, checkout: Path) -> str:
    """Clone the repository, with the candidate committed; returns the base, zeros if there is none."""
    changed = git(ROOT, "status", "--porcelain", "--untracked-files=no")
    if changed := changed or git(ROOT, "status", "--porcelain", "--", "kernels"):
        raise RunError(f"a workflow judges commits: commit or stash these first\n{changed}")
    git(ROOT, "clone", "--quiet", str(ROOT), str(checkout))
    # Its name is what forks are told by.
    git(checkout, "remote", "set-url", "origin", f"https://github.com/{OWNER}")
    head = git(checkout, "rev-parse", "HEAD")
    if options.candidate is None:
        base = find_base(options.base)
        return "0" * 40 if base == head else base
    with (ROOT / "pyproject.toml").open("rb") as stream:
        operation = tomllib.load(stream)["tool"]["kernelgate"]["operation"]
    shutil.copyfile(options.candidate, checkout / "kernels" / f"{operation}.py")
    identity = ["-c", "user.name=act", "-c", "user.email=act@localhost"]
    git(
        checkout,
        *identity,
        "commit",
        "--quiet",
        "--all",
        "--allow-empty",
        "--message",
        f"Propose {options.candidate}",
    )
    return head


def find_base(asked: str | None) -> str:
    """Return the commit that was asked for, or where HEAD left main."""
    if asked:
        return git(ROOT, "rev-parse", "--verify", f"{asked}^{{commit}}")
    for main_branch in MAIN:
        try:
            return git(ROOT, "merge-base", "HEAD", main_branch)
        except RunError:
            continue
    raise RunError(f"none of {', '.join(MAIN)} has a commit in common with HEAD: name one with --base")


def write_event(place: Path, checkout: Path, name: str, base: str, fork: bool) -> str:
    """Return the path of what GitHub would say happened."""
    head, proposed_by = git(checkout, "rev-parse", "HEAD"), FORK if fork else OWNER
    event: dict[str, Any] = {"repository": {"full_name": OWNER, "default_branch": "main"}}
    if name == "push":
        event |= {"ref": "refs/heads/main", "before": base, "after": head}
    else:
        event["number"] = NUMBER
        event["pull_request"] = {
            "number": NUMBER,
            "head": {"sha": head, "ref": "proposal", "repo": {"full_name": proposed_by}},
            "base": {"sha": base, "ref": "main", "repo": {"full_name": OWNER}},
        }
    path = place / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    return str(path)


def offer_environment(place: Path, checkout: Path) -> Path:
    """Return a folder with the environment of this interpreter, under the key of what the checkout needs."""
    script = [str(checkout / ".github/scripts/environment-key.sh"), str(checkout)]
    key = output_of(script, os.environ | {"PYTHON": sys.executable})
    (place / "envs").mkdir()
    (place / "envs" / key).symlink_to(sys.prefix)
    return place / "envs"


def clean_environment(place: Path) -> dict[str, str]:
    """Return all that reaches act: its jobs see everything that it sees."""
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    (place / "home").mkdir()
    # Where a base needs another environment, the wheels of PyTorch are not fetched each time.
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    passed.setdefault("PIP_CACHE_DIR", str(caches / "pip"))
    return passed | {"HOME": str(place / "home"), "ACT_DISABLE_VERSION_CHECK": "1"}


def follow(command: list[str], checkout: Path, environment: dict[str, str], log: Path) -> int:
    """Return the exit code of a command whose output is shown and kept."""
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,  # closed when this process is gone, which the keeper sees
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C is for this process alone
            text=True,
            errors="replace",
        ) as running,
    ):
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            kept.write(line)
    return running.returncode


def keep(place: Path, report_dir: Path) -> None:
    """Copy log and reports to where the caller looks for them, in place of the last ones."""
    for name in ("artifacts", "act.log"):
        target = report_dir / name
        if target.is_dir():
            shutil.rmtree(target)
    report_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(place / "act.log", report_dir)
    if (place / "artifacts").exists():
        shutil.copytree(place / "artifacts", report_dir / "artifacts")


def conclude(code: int, artifacts: Path, jobs: list[str], report_dir: Path) -> int:
    """Return the exit code, and say what ran; a workflow that passed must have left its reports."""
    print()
    for page in sorted(artifacts.glob("*/*/summary.md")):
        heading = page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        print(f"{page.parent.relative_to(artifacts)}: {heading}")
        for report in sorted(page.parent.glob("*/report.json")):
            print(describe(report))
    if "gpu" not in jobs:
        print("not run: the job gpu, which times kernels")
    print(f"reports and log: {report_dir}")
    missing = [job for job in jobs if not (artifacts / f"reports-{job}/changed/summary.md").exists()]
    if missing and code == 0:
        raise RunError(
            f"the workflow passed and left no report of {' and '.join(missing)}: trust nothing of it"
        )
    return int(code != 0)


def describe(report: Path) -> str:
    """Return what a report says, and which of its stages ran."""
    said = json.loads(report.read_text(encoding="utf-8"))
    stages = ", ".join(f"{name} {stage['status']}" for name, stage in said["stages"].items())
    verdict = f"  {said['candidate']['path']}: {said['verdict']} ({said['reason']})"
    return f"{verdict}\n    {stages}\n    {said['detail']}\n    next: {said['next_step']}"


def has_gpu() -> bool:
    """Return whether nvidia-smi lists a GPU."""
    try:
        return "GPU " in output_of(["nvidia-smi", "-L"], os.environ)
    except RunError:
        return False


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    return output_of(["git", "-C", str(folder), *arguments], os.environ)


def output_of(command: list[str], environment: Any) -> str:
    """Return what a command prints; raises RunError with its complaint if it fails."""
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
    except subprocess.CalledProcessError as error:
        raise RunError(f"{' '.join(command)}: {error.stderr.strip()}") from error
    except OSError as error:
        raise RunError(f"{command[0]}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
