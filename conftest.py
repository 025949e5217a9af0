"""pytest's options, fixtures and summary for the gate; every decision is taken in the package."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from kernelgate.accepted import AcceptedError, kernel_path
from kernelgate.cases import parse_case
from kernelgate.gate import ORDER, Gate, Request
from kernelgate.gpu import Gpu, GpuError, find_gpu
from kernelgate.operations import find_operation
from kernelgate.progress import StageProgress
from kernelgate.report import Report, make_report, render_summary, write_report
from kernelgate.settings import SettingsError, load_settings
from kernelgate.stage_rules import STAGES
from kernelgate.verdict import Rule

ROOT = Path(__file__).resolve().parent
REPORT = pytest.StashKey[Report]()
TERMINAL = pytest.StashKey[TextIO]()
PROGRESS = pytest.StashKey[StageProgress]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernelgate", "the judgement of one kernel file (tests/gate)")
    group.addoption("--candidate", metavar="FILE", help="kernel file to judge; default: the accepted kernel")
    group.addoption(
        "--operation", metavar="NAME", help="what it computes; default: that of [tool.kernelgate]"
    )
    group.addoption(
        "--accepted", metavar="FILE|REV", help="kernel to beat: a file or a git revision; default: HEAD"
    )
    group.addoption("--stage", choices=STAGES, help="what may change; default: that of [tool.kernelgate]")
    group.addoption(
        "--rule",
        choices=[*Rule],
        help="what to prove: tune, a gain; guard, no loss (default for the accepted kernel)",
    )
    group.addoption(
        "--report-dir", metavar="DIR", default="gate-report", help="where reports go; default: %(default)s"
    )
    group.addoption("--replay", metavar="CASE", help="judge this one correctness case, as a report names it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the gate's tests in the order of its stages, so that the first failure is the cause."""
    stages = [f"test_{name.replace('-', '_')}.py" for name in ORDER]
    places = [place for place, item in enumerate(items) if item.path.name in stages]
    ordered = sorted((items[place] for place in places), key=lambda item: stages.index(item.path.name))
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def gate(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator[Gate]:
    """Give the judgement of this run: each stage is run once, by the first test that asks for it."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail("the gate judges in one process: run tests/gate without -n", pytrace=False)
    measure = any(item.get_closest_marker("perf") for item in request.session.items)
    try:
        gpu = _gpu_at_hand(measure)
        settings = load_settings(ROOT / "pyproject.toml")
        asked = _read_options(pytestconfig, settings.operation, settings.stage, gpu, measure)
        progress = pytestconfig.stash[PROGRESS]
        judgement = Gate(asked, settings, progress.note)
    except (AcceptedError, SettingsError, GpuError, KeyError, ValueError) as error:
        pytest.exit(f"kernelgate: {error.args[0]}", returncode=pytest.ExitCode.USAGE_ERROR)
    try:
        yield judgement
    finally:
        judgement.close()
        report = make_report(judgement)
        pytestconfig.stash[REPORT] = report
        write_report(report, asked.report_dir)


def _gpu_at_hand(measure: bool) -> Gpu | None:
    try:
        return find_gpu()
    except GpuError:
        if measure:
            raise
        return None


def _read_options(
    config: pytest.Config, operation: str, stage: str, gpu: Gpu | None, measure: bool
) -> Request:
    name = config.getoption("--operation") or operation
    candidate = config.getoption("--candidate") or os.path.relpath(kernel_path(ROOT, find_operation(name)))
    if not str(candidate).isprintable():
        raise ValueError(f"--candidate {str(candidate)!a}: the name must be printable text")
    replay, rule = config.getoption("--replay"), config.getoption("--rule")
    return Request(
        root=ROOT,
        candidate=Path(candidate),
        operation=name,
        accepted=config.getoption("--accepted"),
        stage=config.getoption("--stage") or stage,
        rule=Rule(rule) if rule else None,
        report_dir=Path(config.getoption("--report-dir")),
        gpu=gpu,
        measure=measure,
        replay=parse_case(replay) if replay else None,
    )


def pytest_configure(config: pytest.Config) -> None:
    # While a test runs, standard output is captured; a copy made before that still reaches the terminal.
    config.stash[TERMINAL] = os.fdopen(os.dup(1), "w")
    config.stash[PROGRESS] = StageProgress(config.stash[TERMINAL])


def pytest_runtest_teardown(item: pytest.Item) -> None:
    item.config.stash[PROGRESS].stop()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[TERMINAL].close()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if the verdict does not pass, whatever the tests say."""
    report = session.config.stash.get(REPORT, None)
    if report is not None and not report.passes and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash.get(REPORT, None)
    if report is not None:
        terminalreporter.section(f"kernelgate: {report.operation}")
        terminalreporter.write_line(render_summary(report))
        terminalreporter.write_line(f"  report: {Path(config.getoption('--report-dir')) / 'report.md'}")
