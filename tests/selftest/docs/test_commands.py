"""What README and docs have people type: options exist, and a test runs it or its needs are known."""

import argparse
import importlib
import importlib.util
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from kernelgate.cli.main import SUBCOMMANDS, _make_parser
from tests.selftest.docs.commands import Command, collect_commands, split_line
from tests.selftest.docs.prose import ROOT
from tests.selftest.support.script_module import load_script

COMMANDS = list({(each.words, each.is_whole): each for each in collect_commands()}.values())
NAMES = {each.__name__.rpartition(".")[2].replace("_", "-") for each in SUBCOMMANDS}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MADE = {"kernels/rms.py", "kernels/rms_tiled.py", "tests/selftest/operations/test_rmsnorm.py"}
"""Files that a command of the page makes before another one reads them."""

GPU = "needs an NVIDIA GPU"
TRITON = "needs a checkout of Triton"
HOURS = "takes many minutes; run by hand"

RUN_BY = {
    "kernelgate judge": "judging/test_judge.py: def test_it_needs_no_project",
    "kernelgate judge --cluster": "batch/cluster/test_judges.py: '--cluster'",
    "kernelgate judge --code-path": GPU,
    "kernelgate rank": "ranking/test_rank.py: 'rank'",
    "kernelgate init": "cli/test_init.py: 'init'",
    "kernelgate plan": "cli/test_plan.py: 'plan'",
    "kernelgate tune": "tuning/test_command.py: 'tune'",
    "kernelgate accept": "baselines/test_kernels.py: 'accept'",
    "kernelgate replay": "performance/test_samples_file.py: 'replay'",
    "kernelgate report": "cli/test_report.py: 'report'",
    "kernelgate history": "reporting/test_history.py: 'history'",
    "kernelgate doctor": GPU,
    "kernelgate judge-change": "plan_book/test_judged_by_book.py: 'judge-change'",
    "kernelgate judge-change --measure": GPU,
    "kernelgate new-operation": "cli/test_new_operation.py: 'new-operation'",
    "make gate": "test_makefile.py: def test_the_gate_is_asked_for_an_operation",
    "make act": "workflows/test_act.py: act/run.py",
    "make docs": "docs/test_site.py: mkdocs",
    "make setup": "test_makefile.py: 'setup'",
    "make lint": "../../.ci/run: make lint",
    "make test": "../../.ci/run: test",
    "make test-all": "../../.ci/run: test-all",
    "pytest": "test_pytest_plugin.py: --candidate",
    "pytest -m perf": GPU,
    "pytest -m perf or not perf": GPU,
    "python -m benchmarks.agreement": GPU,
    "python -m benchmarks.attacks": GPU,
    "python -m benchmarks.decisions": GPU,
    "python -m benchmarks.false_refusals": HOURS,
    "python -m benchmarks.interpreter": "benchmarks/test_interpreter.py: interpreter",
    "python -m benchmarks.language_tests": TRITON,
    "python -m benchmarks.problem_files": "benchmarks/test_problem_files.py: main(",
    "python -m benchmarks.rates": "benchmarks/test_benchmarks.py: rates",
    "python -m benchmarks.record": GPU,
    "python -m benchmarks.roofline": "benchmarks/test_roofline.py: roofline.main",
    "python -m benchmarks.same_blocks": GPU,
    "python -m benchmarks.soak": "benchmarks/test_soak.py: soak.main",
    "python -m kernelgate.reporting.verdict_list": "test_verdicts.py: render_verdicts",
    "python -m kernelgate.worker": "sandbox/test_worker_process.py: worker",
    "python -m py_compile": "kernel_file/test_format.py: not-python",
    "python -m tests.selftest.corpus.planted.table": HOURS,
    "python -m tests.selftest.docs.prose": "docs/test_prose.py: main(",
}
"""The test that runs a command, and what shows that it does; or what the machine must have for it."""


class ParserSeen(BaseException):
    """Ends a main function once its parser is known."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """Return the parser that a main function uses."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise ParserSeen(parser)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(ParserSeen) as seen:
        call()
    monkeypatch.undo()
    return seen.value.parser


def parse(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Fail where the parser refuses the words; `--help` is none that it refuses."""
    if "--help" not in words:
        parser.parse_args(words)


def check_make(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every target and variable is the Makefile's, and what ARGS holds is an option of act's wrapper."""
    (targets,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    (known,) = re.findall(r"^KNOWN := (.+)$", MAKEFILE, re.MULTILINE)
    given = dict(word.split("=", 1) for word in words if "=" in word)
    assert set(given) <= set(known.split())
    assert {word for word in words if "=" not in word} <= set(targets.split())
    if "ARGS" in given:
        wrapper = load_script(ROOT / ".github/act/run.py")
        parse(parser_of(wrapper.read_options, monkeypatch), given["ARGS"].split())


def check_module(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the module; of a benchmark every option is its own."""
    assert importlib.util.find_spec(name)
    if name.startswith("benchmarks.") and words:
        parse(parser_of(importlib.import_module(name).main, monkeypatch), words)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_every_option_of_a_command_exists(
    command: Command, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """By the parser that reads it: the command line's, make's, pytest's with its plugins, the module's."""
    program, *words = command.words
    if program == "kernelgate" and command.is_whole:
        parse(_make_parser(), words)
    elif program == "kernelgate":
        assert words[0] in NAMES
    elif program == "make":
        check_make(words, monkeypatch)
    elif program == "pytest":
        _, unknown = pytestconfig._parser.parse_known_and_unknown_args(words)
        assert unknown == []
    else:
        check_module(words[1], words[2:], monkeypatch)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_every_file_of_a_command_exists(command: Command) -> None:
    """Those of this repository; placeholders and files of the reader's own are in capitals or elsewhere."""
    named = {
        part for word in command.words for part in re.findall(r"(?:docs|kernels|tests|benchmarks)/.*", word)
    }
    ours = {name for name in named if not re.search(r"[A-Z]{3}", name)} - MADE
    assert {name for name in ours if not list(ROOT.glob(name))} == set()


def entry_of(command: Command) -> str:
    """Return the key of the table that fits: the longest whose words the command has, in order."""

    def fits(key: str) -> bool:
        first, _, option = key.partition(" -")
        rest = f"-{option}" if option and not key.startswith("python") else ""
        start = key if key.startswith("python") else first
        return f"{command.text} ".startswith(f"{start} ") and (not rest or f" {rest} " in f"{command.text} ")

    return max(filter(fits, RUN_BY), key=len)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_every_command_is_run_by_a_test_or_its_needs_are_known(command: Command) -> None:
    """A new command of a page needs an entry; the test that an entry names is there and runs it."""
    runs = RUN_BY[entry_of(command)]
    if runs not in (GPU, TRITON, HOURS):
        name, _, shown = runs.partition(": ")
        text = (ROOT / "tests/selftest" / name).read_text(encoding="utf-8").replace('"', "'")
        assert shown in text


def test_no_entry_is_left_over() -> None:
    """Each is of a command that a page shows."""
    assert {*RUN_BY} - {entry_of(command) for command in COMMANDS} == set()


def test_every_subcommand_stands_in_a_page() -> None:
    """But `guard`, which the workflows start."""
    named = {command.words[1] for command in COMMANDS if command.words[0] == "kernelgate"}
    assert NAMES - named == {"guard"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cp a.py b.py && make gate OPERATION=<name>   # 4.", [("make", "gate", "OPERATION=name")]),
        (
            "$ python -m kernelgate doctor | tee log",
            [("kernelgate", "doctor")],
        ),
        ('.venv/bin/python -m pytest -m "perf or not perf"', [("pytest", "-m", "perf or not perf")]),
        ("python -m kernelgate.x > docs/x.md", [("python", "-m", "kernelgate.x")]),
        ("kernelgate/cli/", []),
        ("the kernelgate package", []),
        ("kernelgate", []),
    ],
    ids=str,
)
def test_a_line_is_read_as_a_shell_would(line: str, expected: list[tuple[str, ...]]) -> None:
    """Comments, pipes and the environment's path left out."""
    assert list(split_line(line)) == expected


@pytest.mark.parametrize(
    "line",
    ["kernelgate judge --opration x", "make gat", "make gate CANDIDAT=x", "pytest --candidat-x f",
     "python -m benchmarks.rates --nosuch", "python -m benchmarks.nosuch", 'make act ARGS="--bse x"'],
)  # fmt: skip
def test_a_misspelt_command_is_found(
    line: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """By each of the parsers."""
    (words,) = split_line(line)
    with pytest.raises((AssertionError, SystemExit, pytest.UsageError)):
        test_every_option_of_a_command_exists(Command("", words, True), monkeypatch, pytestconfig)
