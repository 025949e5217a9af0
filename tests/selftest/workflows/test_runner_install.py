"""How a machine becomes the gate's runner: what install.sh puts where, and what it refuses."""

import hashlib
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from tests.selftest.support.stand_ins import StandIns

ROOT = Path(__file__).resolve().parents[3]
REPOSITORY, TOKEN = "owner/project", "github_pat_11ABCDEFG_example"
VERSION = "2.336.0"
COPIED = ("Makefile", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", "kernelgate/__init__.py")
ENABLED = "systemctl enable --now kernelgate-runner.service"

ID = """
case "$*" in
  -u) echo 0 ;;
  -nG*) echo "${GROUPS_OF_USER:-kernelgate-runner}" ;;
  *) grep -q ^useradd "{log}" ;;
esac
"""
PYTHON = """
case "$*" in
  *Python.h*) echo "{header}" ;;
  *ensurepip*) ;;
  *) exec "{python}" "$@" ;;
esac
"""
MAKE = """
for word; do
  if [[ $word == VENV=* ]]; then mkdir "${word#VENV=}" && touch "${word#VENV=}/.ready"; fi
done
"""
CURL = """
while [[ $1 != --output ]]; do shift; done
cp "{archive}" "$2"
"""


class Machine(StandIns):
    """A made-up Ubuntu machine under the folder `root`, a clone of the project, and a file with a token."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root, self.clone, self.token = folder / "root", folder / "clone", folder / "token"
        shutil.copytree(ROOT / ".github", self.clone / ".github")
        for name in COPIED:
            (self.clone / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.clone / name)
        self.write("etc/os-release", 'NAME="Ubuntu"\nID=ubuntu\n')
        self.token.write_text(f"{TOKEN}\n", encoding="utf-8")
        self.archive = self._pack("#!/bin/sh\nexit 0\n")
        self.add("id", ID.replace("{log}", str(folder / "log")))
        self.add("uname", "echo ${MACHINE:-x86_64}")
        self.add("nvidia-smi", 'echo "${GPUS-GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-1)}"')
        self.add("python", PYTHON.format(header=self.archive, python=sys.executable))
        self.add("make", MAKE)
        self.add("curl", CURL.replace("{archive}", str(self.archive)))
        for name in ("gcc", "git", "nvidia-modprobe", "pkill", "useradd", "chown", "systemctl"):
            self.add(name)
        self.watch("cp", "install", "grep", "chmod", "tar")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def mode(self, name: str) -> int:
        return (self.root / name).stat().st_mode & 0o7777

    def _pack(self, script: str) -> Path:
        folder = self.folder / "release"
        for name in ("run.sh", "bin/installdependencies.sh"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(script, encoding="utf-8")
            (folder / name).chmod(0o755)
        with tarfile.open(self.folder / "release.tar.gz", "w:gz") as archive:
            archive.add(folder, ".")
        return self.folder / "release.tar.gz"

    def install(self, given: str = "", **changes: str) -> tuple[int, str]:
        """Return the exit code and all that was said, with everything given but for the changes."""
        variables = {
            "PYTHON": str(self.bin / "python"),
            "REPOSITORY": REPOSITORY,
            "TOKEN_FILE": str(self.token),
            "RUNNER_VERSION": VERSION,
            "RUNNER_SHA256": hashlib.sha256(self.archive.read_bytes()).hexdigest(),
        }
        ended = self.run(self.clone / ".github/runner/install.sh", given=given, **(variables | changes))
        return ended.returncode, ended.stdout + ended.stderr

    def again(self, given: str = "", **changes: str) -> tuple[int, str]:
        """Return the same, with nothing given but the changes."""
        unset = dict.fromkeys(("REPOSITORY", "TOKEN_FILE", "RUNNER_VERSION", "RUNNER_SHA256"), "")
        return self.install(given, **(unset | changes))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine on which nothing is installed yet."""
    return Machine(tmp_path)


def test_everything_is_put_in_its_place(machine: Machine) -> None:
    """The programs are for everyone to read, the token for root, the home for the runner's user."""
    code, said = machine.install()
    assert (code, "done. Settings > Actions > Runners of owner/project" in said) == (0, True), said
    for name in ("job-started.sh", "job_started.py"):
        installed = machine.read(f"opt/kernelgate/hook/{name}")
        assert installed == (ROOT / ".github/runner" / name).read_text(encoding="utf-8")
    assert machine.read("etc/kernelgate/repository") == f"{REPOSITORY}\n"
    assert machine.read("etc/kernelgate/token") == f"{TOKEN}\n"
    modes = {
        "etc/kernelgate/token": 0o600,
        "etc/kernelgate/repository": 0o644,
        "etc/systemd/system/kernelgate-runner.service": 0o644,
        "etc/systemd/system/kernelgate-clocks.service": 0o644,
        "opt/kernelgate/hook": 0o755,
        "opt/kernelgate/hook/job-started.sh": 0o755,
        "opt/kernelgate/hook/job_started.py": 0o644,
        "opt/kernelgate/next-job.sh": 0o755,
        "opt/kernelgate/runner/run.sh": 0o755,
        "var/lib/kernelgate-runner": 0o700,
    }
    assert {name: machine.mode(name) for name in modes} == modes


def test_the_user_has_no_shell_no_other_group_and_owns_only_its_home(machine: Machine) -> None:
    """All else is root's."""
    machine.install()
    home = machine.root / "var/lib/kernelgate-runner"
    made = f"useradd --system --user-group --home-dir {home} --shell /usr/sbin/nologin kernelgate-runner"
    assert made in machine.calls
    assert [call for call in machine.calls if call.startswith("chown")] == [
        f"chown kernelgate-runner: {home}"
    ]


def test_the_environment_is_built_under_its_key_and_only_root_may_write_it(machine: Machine) -> None:
    """It comes from a copy of the clone that stays, under the name that set-up.sh looks for."""
    machine.install()
    (environment,) = (machine.root / "opt/kernelgate/envs").iterdir()
    script = machine.clone / ".github/scripts/environment-key.sh"
    key = machine.run(script, machine.clone, PYTHON=str(machine.bin / "python")).stdout.strip()
    source = machine.root / "opt/kernelgate/source"
    build = f"make --silent --directory {source} setup VENV={environment} PYTHON={machine.bin / 'python'}"
    assert machine.calls.index(build) < machine.calls.index(f"chmod -R go-w {environment}")
    assert all((source / name).is_file() for name in COPIED)
    assert (environment.name, len(key)) == (key, 16)


def test_the_token_is_on_no_command_line_and_in_no_environment(machine: Machine) -> None:
    """Only its file's name is."""
    machine.install()
    assert str(machine.token) in machine.seen
    assert TOKEN not in machine.seen


def test_the_units_start_last_and_the_clocks_first(machine: Machine) -> None:
    """The machine is whole by then."""
    machine.install()
    started = ["systemctl daemon-reload", "systemctl enable --now kernelgate-clocks.service", ENABLED]
    assert [call for call in machine.calls if not call.startswith("grep")][-3:] == started


def test_a_second_run_changes_nothing_and_asks_nothing(machine: Machine) -> None:
    """The user, the environment, the program and both settings are there."""
    machine.install()
    machine.forget()
    machine.add("id", 'case "$*" in -u) echo 0 ;; *) echo kernelgate-runner ;; esac')
    code, said = machine.again()
    assert (code, "File that holds" in said) == (0, False), said
    assert not [call for call in machine.calls if call.split()[0] in ("useradd", "make", "curl")]
    assert machine.read("etc/kernelgate/token") == f"{TOKEN}\n"
    assert machine.read("etc/kernelgate/repository") == f"{REPOSITORY}\n"


def test_new_constraints_give_a_second_environment(machine: Machine) -> None:
    """The old one stays, for changes that still start from it."""
    machine.install()
    (machine.clone / "constraints.txt").write_text("numpy==2.4.7\n", encoding="utf-8")
    assert machine.again()[0] == 0
    assert len(list((machine.root / "opt/kernelgate/envs").glob("*/.ready"))) == 2


def test_an_environment_that_was_half_built_is_built_again(machine: Machine) -> None:
    """It counts once it is ready."""
    machine.add("make", MAKE.replace('touch "${word#VENV=}/.ready"', "exit 1"))
    assert machine.install()[0] != 0
    assert ENABLED not in machine.calls
    machine.add("make", MAKE)
    assert machine.install()[0] == 0
    assert list((machine.root / "opt/kernelgate/envs").glob("*/.ready"))


def test_what_is_not_given_is_asked_for(machine: Machine) -> None:
    """The repository first, then the token's file."""
    code, said = machine.install(f"{REPOSITORY}\n{machine.token}\n", REPOSITORY="", TOKEN_FILE="")
    assert code == 0, said
    assert machine.read("etc/kernelgate/repository") == f"{REPOSITORY}\n"
    assert machine.read("etc/kernelgate/token") == f"{TOKEN}\n"


def test_a_newer_program_takes_the_place_of_the_old(machine: Machine) -> None:
    """Whole: nothing of the old one stays."""
    machine.install()
    machine.write("opt/kernelgate/runner/old", "")
    assert machine.install()[0] == 0
    assert sorted(file.name for file in (machine.root / "opt/kernelgate/runner").iterdir()) == [
        "bin",
        "run.sh",
    ]
    assert not list((machine.root / "opt/kernelgate").glob("runner.*"))


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "an Arm machine": ({"MACHINE": "aarch64"}, "this machine is aarch64"),
    "no GPU": ({"GPUS": "No devices found."}, "nvidia-smi lists no GPU"),
    "a user in a group": (
        {"GROUPS_OF_USER": "kernelgate-runner docker"},
        "but is in: kernelgate-runner docker",
    ),
    "an odd version": ({"RUNNER_VERSION": "2.336.0/../x"}, "RUNNER_VERSION: three numbers"),
    "no checksum": ({"RUNNER_SHA256": ""}, "RUNNER_SHA256: the 64"),
    "a wrong checksum": ({"RUNNER_SHA256": "0" * 64}, "nothing of it was unpacked"),
    "no program": ({"RUNNER_VERSION": ""}, "name the runner to fetch"),
    "an odd repository": ({"REPOSITORY": "owner/project/x"}, "REPOSITORY: owner/name"),
    "a repository and more": ({"REPOSITORY": "owner/project\nx"}, "REPOSITORY: owner/name"),
    "no token": ({"TOKEN_FILE": "/dev/null"}, "holds no fine-grained token"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_right_is_refused_before_anything_starts(machine: Machine, case: str) -> None:
    """With the cause; and no word of the token."""
    changes, reason = REFUSED[case]
    code, said = machine.install(**changes)
    assert (code, reason in said, TOKEN in said) == (1, True, False), said
    assert not [call for call in machine.calls if call.startswith("systemctl")]
    assert not (machine.root / "opt/kernelgate/runner").exists()
    assert not list((machine.root / "opt/kernelgate").glob("*.gz"))


@pytest.mark.parametrize(
    ("command", "body", "reason"),
    [
        ("id", "echo 1000", "run this as root"),
        ("nvidia-smi", "exit 9", "nvidia-smi does not answer"),
        ("python", "[[ $* != *ensurepip* ]]", "install python3-venv"),
        ("python", "echo /nowhere/Python.h", "install python3-dev"),
        ("python", "if [[ $* == *-c* ]]; then echo /dev/null; fi", "the key of the environment"),
        ("systemctl", "[[ $* != *runner* ]]", "journalctl -u kernelgate-runner"),
    ],
)
def test_a_machine_that_lacks_something_is_refused(
    machine: Machine, command: str, body: str, reason: str
) -> None:
    """With what to do about it."""
    machine.add(command, body)
    code, said = machine.install()
    assert (code, reason in said) == (1, True), said


def test_another_system_is_refused(machine: Machine) -> None:
    """The packages have other names there."""
    machine.write("etc/os-release", "ID=fedora\nID_LIKE=ubuntu\n")
    assert "this is written for Ubuntu" in machine.install()[1]


def test_a_classic_token_is_refused(machine: Machine) -> None:
    """It would open every repository of its owner."""
    machine.token.write_text("ghp_ABCDEFG", encoding="utf-8")
    code, said = machine.install()
    assert (code, "holds no fine-grained token" in said) == (1, True)
    assert not (machine.root / "etc/kernelgate/token").exists()


def test_another_gpu_is_named(machine: Machine) -> None:
    """The label says 4090, so a run on it would be of another machine than it says."""
    code, said = machine.install(GPUS="GPU 0: NVIDIA H200 (UUID: GPU-1)")
    assert (code, "no RTX 4090 among them" in said) == (0, True)
