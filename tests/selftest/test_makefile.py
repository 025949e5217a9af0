"""The commands of the Makefile say what they were not told to do."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Return what make would do."""
    command = ["make", "--dry-run", "--silent", "--always-make", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), []),
        (("OPERATION=matmul",), ["--operation", "matmul"]),
        (("OPERATION=softmax", "CANDIDATE=a.py"), ["--operation", "softmax", "--candidate", "a.py"]),
    ],
    ids=str,
)
def test_the_gate_is_asked_for_an_operation(words: tuple[str, ...], options: list[str]) -> None:
    """And for the settings' own where none is named."""
    asked = make("gate", *words).stdout.splitlines()[-1].split()
    given = asked[asked.index("tests/gate") + 1 :]
    assert given[len(given) - len(options) :] == options


@pytest.mark.parametrize("word", ["OPERATON=matmul", "candidate=a.py", "OPTIONS=--rule guard"])
def test_a_misspelt_variable_is_refused_with_those_that_are_known(word: str) -> None:
    """It would be left out, and something else be judged."""
    refused = make("gate", word)
    assert refused.returncode != 0
    assert f"unknown variable {word.partition('=')[0]}; known: OPERATION PROBLEM CANDIDATE" in refused.stderr


@pytest.mark.parametrize("word", ["VENV=elsewhere", "PYTHON=python3", "PLAN_SHARE=1", "FILE_SHARE=3"])
def test_what_scripts_and_workflows_give_is_known(word: str) -> None:
    """The runner's environment, its interpreter, the nightly run's share."""
    assert make("setup", word).returncode == 0


def test_the_documentation_is_built_strictly() -> None:
    """A link within it that leads nowhere ends the command."""
    assert "mkdocs build --strict" in make("docs").stdout


def test_help_names_every_target_and_variable() -> None:
    """Of those that a user gives: a script's own are none of them."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    (known,) = re.findall(r"^KNOWN := (.+)$", text, re.MULTILINE)
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {*targets.split(), *known.split()} - {
        "help",
        "quick-test",
        "PLAN_SHARE",
        "FILE_SHARE",
        "PYTHON",
        "VENV",
    }
    assert {name for name in named if not re.search(rf"\b{name}\b", said)} == set()
