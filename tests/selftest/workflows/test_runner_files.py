"""Units, labels and manual of the GPU runner: each is checked, and each check is shown to fail."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUNNER = ROOT / ".github" / "runner"
MANUAL = ROOT / "docs" / "runner.md"
UNITS = sorted(RUNNER.glob("*.service"))
PROGRAMS = (
    "/usr/bin/nvidia-smi",
    "/usr/bin/nvidia-modprobe",
    "/opt/kernelgate/next-job.sh",
    "/var/lib/kernelgate-runner/runner/run.sh",
)
"""What the units start, on the machine that they are for."""

STATUS = "kernelgate/fork"
"""No file: the name of a status on a commit."""

OF_THE_PROJECT = (".github/", "baselines/", "docs/", "kernelgate/", "kernels/", "tests/")
RUNNER_UNIT = RUNNER / "kernelgate-runner.service"

Found = subprocess.CompletedProcess[str]


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def name_of(file: Path) -> str:
    return file.name


def verify(folder: Path, name: str, text: str) -> Found:
    """Return what systemd says of a unit whose programs all exist; no systemd is an error."""
    for program in PROGRAMS:
        stand_in = folder / program[1:]
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text("#!/bin/sh\n", encoding="utf-8")
        stand_in.chmod(0o755)
        text = re.sub(rf"(?<=[=+]){program}\b", str(stand_in), text)
    unit = folder / name
    unit.write_text(text, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", UNITS, ids=name_of)
def test_systemd_understands_every_line_of_a_unit(tmp_path: Path, file: Path) -> None:
    """A line that it does not understand it leaves out, and a restriction with it."""
    found = verify(tmp_path, file.name, read(file))
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("NoNewPrivileges=yes", "NoNewPrivilege=yes", "Unknown key"),
        ("NoNewPrivileges=yes", "NoNewPrivileges=of course", "Failed to parse"),
        ("Restart=always", "Restart=sometimes", "Failed to parse"),
        ("ReadWritePaths=/var", "ReadWritePaths=var", "not absolute"),
        ("RestrictAddressFamilies=AF_UNIX", "RestrictAddressFamilies=AF_LINUX", "AF_LINUX"),
        ("ExecStart=/var/lib/kernelgate-runner/runner/run.sh", "ExecStart=/nowhere/run.sh", "not executable"),
        ("[Service]", "[Servise]", "Unknown section"),
    ],
)
def test_what_systemd_does_not_understand_is_found(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    """Each of these would run a job with less protection, or none at all."""
    text = read(RUNNER_UNIT)
    assert text.count(old) == 1
    found = verify(tmp_path, RUNNER_UNIT.name, text.replace(old, new))
    assert found.returncode != 0
    assert complaint in found.stderr


def settings_of(text: str) -> dict[str, list[str]]:
    """Return the values that each key of a unit is given, in their order."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def test_the_runner_has_no_rights_and_yet_reaches_the_gpu() -> None:
    """No way to root, to other users' files or to the next job; no setting that hides device files."""
    settings = settings_of(read(RUNNER_UNIT))
    for key, value in {
        "User": "kernelgate-runner",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "ReadWritePaths": "/var/lib/kernelgate-runner",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "RemoveIPC": "yes",
        "KillMode": "mixed",
        "Restart": "always",
    }.items():
        assert settings[key] == [value]
    hiding = {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute"}
    assert not hiding & set(settings)
    assert not {"SupplementaryGroups", "AmbientCapabilities"} & set(settings)


def test_the_unit_names_what_install_puts_in_place() -> None:
    """The hook above all: a runner that does not find it runs steps that always run."""
    text = read(RUNNER_UNIT)
    installed = read(RUNNER / "install.sh")
    for variable, place in {
        "ACTIONS_RUNNER_HOOK_JOB_STARTED": ("hook", "job-started.sh"),
        "KERNELGATE_ENVS": ("envs",),
    }.items():
        assert f"Environment={variable}=/opt/kernelgate/{'/'.join(place)}\n" in text
        assert f'"$base/{place[0]}"' in installed
    assert "EnvironmentFile=-/run/kernelgate/job.env\n" in text
    assert "${PREFIX:-}/run/kernelgate/job.env" in read(RUNNER / "next-job.sh")


def test_only_the_core_clock_is_touched_and_it_is_given_back() -> None:
    """Application clocks do not exist there, memory clocks are left alone."""
    settings = settings_of(read(RUNNER / "kernelgate-clocks.service"))
    clock = "${KERNELGATE_CORE_CLOCK_MHZ}"
    assert settings["ExecStart"] == [
        "/usr/bin/nvidia-modprobe -u -c 0",
        "/usr/bin/nvidia-smi -pm 1",
        f"/usr/bin/nvidia-smi -lgc {clock},{clock}",
    ]
    assert settings["ExecStop"] == ["/usr/bin/nvidia-smi -rgc"]
    assert settings["Environment"] == ["KERNELGATE_CORE_CLOCK_MHZ=2520"]


def test_the_labels_are_those_of_the_workflows() -> None:
    """A job that asks for one more waits for ever."""
    asked = set()
    for file in (ROOT / ".github/workflows").glob("*.yml"):
        asked |= set(re.findall(r"runs-on: \[(self-hosted[^\]]*)\]", read(file)))
    (labels,) = asked
    (offered,) = re.findall(r"^labels='(.*)'$", read(RUNNER / "next-job.sh"), re.MULTILINE)
    assert ", ".join(json.loads(offered)) == labels
    assert f"`{labels}`" in read(MANUAL)


def missing_files(text: str) -> Iterator[str]:
    """Yield every file of the project that a page names, and that is not there."""
    named = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text) + re.findall(r"\]\(([^)#:]+)\)", text)
    for block in re.findall(r"```.*?\n(.*?)```", text, re.DOTALL):
        named += block.split()
    for name in named:
        if name != STATUS and name.startswith(OF_THE_PROJECT) and not (ROOT / name).exists():
            yield name


def test_every_file_that_the_manual_names_exists() -> None:
    """Whoever follows it finds what it speaks of."""
    assert not list(missing_files(read(MANUAL)))
    names = set(re.findall(r"`\.github/runner/([\w.-]+)`", read(MANUAL)))
    assert names == {file.name for file in RUNNER.iterdir() if file.is_file()}


@pytest.mark.parametrize(
    "planted",
    [
        "see `docs/nowhere.md`",
        "run\n```\nsudo env X=1 .github/runner/uninstall.sh\n```\n",
        "[x](kernels/no.py)",
    ],
)
def test_a_file_that_does_not_exist_is_found(planted: str) -> None:
    """In a sentence, in a block of commands, in a link."""
    assert len(list(missing_files(read(MANUAL) + planted))) == 1


def test_the_units_settings_that_the_manual_offers_are_understood(tmp_path: Path) -> None:
    """They are for a drop-in of the unit."""
    blocks = re.findall(r"```ini\n(.*?)```", read(MANUAL), re.DOTALL)
    assert blocks
    offered = "\n".join(line.strip() for block in blocks for line in block.splitlines())
    found = verify(tmp_path, RUNNER_UNIT.name, f"{read(RUNNER_UNIT)}\n{offered}\n")
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    found = verify(tmp_path, RUNNER_UNIT.name, f"{read(RUNNER_UNIT)}\n{offered} 10.0.0.0/99\n")
    assert found.returncode != 0


def test_what_the_manual_quotes_is_what_is_said() -> None:
    """A message is looked up by its words."""
    manual = read(MANUAL)
    for words, file in {
        "this runner refuses the job: ": RUNNER / "job_started.py",
        "the disk of the work folder is full": RUNNER / "job_started.py",
        "waits for a job of ": RUNNER / "next-job.sh",
        "GitHub gives no configuration": RUNNER / "next-job.sh",
        "install: done": RUNNER / "install.sh",
        "installing the environment": ROOT / ".github/scripts/set-up.sh",
        "This machine is fit to judge 1 %.": ROOT / "kernelgate/doctor/noise.py",
        "KERNELGATE_CORE_CLOCK_MHZ=": RUNNER / "kernelgate-clocks.service",
        "/etc/kernelgate/clocks.env": RUNNER / "kernelgate-clocks.service",
    }.items():
        assert words in manual
        assert words in read(file)


@pytest.mark.parametrize("name", ["install.sh", "job-started.sh", "next-job.sh"])
def test_shellcheck_reads_the_runners_scripts(tmp_path: Path, name: str) -> None:
    """It finds nothing in them, and a variable without its quotes in a copy."""
    shellcheck = Path(sys.executable).parent / "shellcheck"
    worse = tmp_path / name
    worse.write_text(read(RUNNER / name) + "\nrm -r $1\n", encoding="utf-8")
    for file, code in ((RUNNER / name, 0), (worse, 1)):
        found = subprocess.run([shellcheck, file], capture_output=True, text=True, check=False)
        assert (found.returncode, "SC2086" in found.stdout) == (code, bool(code))
