"""What happens before each job: everything of the last one goes, and GitHub is asked for a configuration."""

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.selftest.support.stand_ins import StandIns

RUNNER = Path(__file__).resolve().parents[3] / ".github" / "runner"
REPOSITORY, TOKEN = "owner/project", "github_pat_11ABCDEFG_example"
CONFIGURATION = "eyJjb25maWd1cmF0aW9uIjoxfQ+/=="
ANSWER = json.dumps({"runner": {"id": 1}, "encoded_jit_config": CONFIGURATION})
WATCHED = ("cat", "cp", "curl", "cut", "date", "find", "id", "mkdir", "rm", "stat", "tr", "uname")


class GitHub:
    """A server that answers every request alike, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.answer = 201, ANSWER
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                github.requests.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(github.status)
                self.end_headers()
                self.wfile.write(github.answer.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class Machine(StandIns):
    """A machine under the folder `root` on which the runner is installed, after a job that made a mess."""

    def __init__(self, folder: Path, github: GitHub) -> None:
        super().__init__(folder)
        self.root, self.github = folder / "root", github
        self.home = self.root / "var/lib/kernelgate-runner"
        self.configuration = self.root / "run/kernelgate/job.env"
        self.script = folder / "next-job.sh"
        text = (RUNNER / "next-job.sh").read_text(encoding="utf-8")
        assert text.count("https://api.github.com") == 1
        self.script.write_text(text.replace("https://api.github.com", github.address), encoding="utf-8")
        self.script.chmod(0o755)
        self.write("etc/kernelgate/repository", f"{REPOSITORY}\n")
        self.write("etc/kernelgate/token", f"{TOKEN}\n")
        self.write("opt/kernelgate/hook/job-started.sh", "")
        self.write("opt/kernelgate/runner/run.sh", "#!/bin/sh\n").chmod(0o755)
        self.write("run/kernelgate/job.env", "ACTIONS_RUNNER_INPUT_JITCONFIG=old\n")
        self.write("outside/file", "not of the job")
        self.write("var/lib/kernelgate-runner/runner/run.sh", "changed by the last job")
        self.write("var/lib/kernelgate-runner/.profile", "left by the last job")
        self.write("var/lib/kernelgate-runner/runner/_work/locked/file", "").parent.chmod(0o755)
        (self.home / "link").symlink_to(self.root / "outside")
        self.add("chown")
        self.add("pkill", "exit 1")  # there was no process
        self.watch(*WATCHED)

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        return file

    def start(self) -> tuple[int, str]:
        """Return the exit code and all that was said."""
        ended = self.run(self.script)
        return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Give a GitHub that hands out a configuration."""
    server = GitHub()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def machine(tmp_path: Path, github: GitHub) -> Machine:
    """Give a machine between two jobs."""
    return Machine(tmp_path, github)


def test_github_is_asked_for_one_configuration(machine: Machine) -> None:
    """For this repository, by the labels of the workflows, under a name that is never the same."""
    code, said = machine.start()
    assert code == 0, said
    ((path, headers, asked),) = machine.github.requests
    assert path == f"/repos/{REPOSITORY}/actions/runners/generate-jitconfig"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept"] == "application/vnd.github+json"
    name = asked.pop("name")
    assert (name.startswith("kernelgate-"), name[-10:].isdecimal(), len(name) <= 64) == (True, True, True)
    labels = ["self-hosted", "linux", "x64", "gpu", "rtx4090"]
    assert asked == {"runner_group_id": 1, "labels": labels, "work_folder": "_work"}


def test_the_configuration_is_for_systemd_alone(machine: Machine) -> None:
    """A line as EnvironmentFile= wants it, which no other user can read."""
    machine.start()
    assert machine.configuration.read_text(encoding="utf-8") == (
        f"ACTIONS_RUNNER_INPUT_JITCONFIG={CONFIGURATION}\n"
    )
    assert machine.configuration.stat().st_mode & 0o7777 == 0o600


def test_token_and_configuration_are_on_no_command_line_and_in_no_environment(machine: Machine) -> None:
    """Every user of a machine can read those of every process; and neither is in the unit's log."""
    code, said = machine.start()
    assert code == 0
    for secret in (TOKEN, CONFIGURATION):
        assert secret not in machine.seen + said
    assert any(call.startswith("curl") for call in machine.calls)
    # What is started by its whole path cannot be watched.
    assert re.findall(r"/(?:usr/)?s?bin/\w+", machine.script.read_text(encoding="utf-8")) == [
        "/usr/bin/env",
        "/usr/bin/python3",
    ]


def test_nothing_of_the_last_job_is_left(machine: Machine) -> None:
    """Neither files nor processes; the program is as root installed it, and what links led to still is."""
    machine.start()
    left = sorted(str(file.relative_to(machine.home)) for file in machine.home.rglob("*"))
    assert left == ["runner", "runner/run.sh"]
    assert (machine.home / "runner/run.sh").read_text(encoding="utf-8") == "#!/bin/sh\n"
    assert os.access(machine.home / "runner/run.sh", os.X_OK)
    assert (machine.root / "outside/file").read_text(encoding="utf-8") == "not of the job"
    done = [
        call.split(" ")[0] for call in machine.calls if call.split(" ")[0] in ("pkill", "find", "cp", "chown")
    ]
    assert done == ["pkill", "find", "cp", "chown"]
    assert "pkill -KILL -u kernelgate-runner" in machine.calls
    assert f"chown -R kernelgate-runner: {machine.home / 'runner'}" in machine.calls


@pytest.mark.parametrize(
    ("name", "text", "mode", "reason"),
    [
        ("etc/kernelgate/token", TOKEN, 0o640, "must be root's, with mode 600"),
        ("etc/kernelgate/token", TOKEN, 0o604, "must be root's, with mode 600"),
        ("etc/kernelgate/token", None, 0, "must be root's, with mode 600"),
        ("etc/kernelgate/repository", "project", 0o644, "holds no owner/name"),
        ("etc/kernelgate/repository", "owner/project/../../other", 0o644, "holds no owner/name"),
        ("etc/kernelgate/repository", "owner/project -o x", 0o644, "holds no owner/name"),
        ("etc/kernelgate/repository", None, 0, "repository"),
        ("opt/kernelgate/hook/job-started.sh", None, 0, "which refuses foreign jobs"),
        ("opt/kernelgate/runner/run.sh", None, 0, "run install.sh with RUNNER_VERSION"),
    ],
)
def test_what_is_not_as_installed_takes_no_job(
    machine: Machine, name: str, text: str | None, mode: int, reason: str
) -> None:
    """The unit fails, GitHub is not asked, and the last configuration is gone."""
    (machine.root / name).unlink()
    if text is not None:
        machine.write(name, text).chmod(mode)
    code, said = machine.start()
    assert (code, reason in said, machine.github.requests) == (1, True, []), said
    assert not machine.configuration.exists()


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (401, '{"message": "Bad credentials"}', "Bad credentials"),
        (403, '{"message": "Resource not accessible by personal access token"}', "not accessible"),
        (404, '{"message": "Not Found"}', "GitHub gives no configuration for owner/project"),
        (409, '{"message": "Already exists"}', "Already exists"),
        (500, "", "GitHub gives no configuration"),
        (201, "", "GitHub answered without a configuration"),
        (201, "<html>", "GitHub answered without a configuration"),
        (201, '{"runner": {}}', "GitHub answered without a configuration"),
        (201, '{"encoded_jit_config": null}', "GitHub answered without a configuration"),
        (201, '{"encoded_jit_config": ""}', "what is no configuration"),
        (201, '{"encoded_jit_config": "YQ==\\nLD_PRELOAD=/x"}', "what is no configuration"),
        (201, '{"encoded_jit_config": "YQ== LD_PRELOAD=/x"}', "what is no configuration"),
    ],
)
def test_without_a_configuration_no_job_is_taken(
    machine: Machine, status: int, answer: str, reason: str
) -> None:
    """The log says what GitHub said; systemd tries again by and by."""
    machine.github.status, machine.github.answer = status, answer
    code, said = machine.start()
    assert (code, reason in said, len(machine.github.requests)) == (1, True, 1), said
    assert not machine.configuration.exists()


def test_a_github_that_cannot_be_reached_is_named(machine: Machine) -> None:
    """As it is on a machine without a network."""
    machine.github.server.shutdown()
    machine.github.server.server_close()
    code, said = machine.start()
    assert (code, "GitHub gives no configuration" in said) == (1, True)


def test_processes_that_cannot_be_ended_take_no_job(machine: Machine) -> None:
    """One of them could wait for the next job."""
    machine.add("pkill", "exit 3")
    code, said = machine.start()
    assert (code, "cannot be ended" in said, machine.github.requests) == (1, True, [])
