"""pytest's options, fixtures and summary for the gate; every decision is taken in the package."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import torch

from kernelgate.baselines.kernels import AcceptedError, kernel_path
from kernelgate.compilation.stage import ADA
from kernelgate.compilation.stage_rules import STAGES
from kernelgate.correctness.case import parse_case
from kernelgate.correctness.hypothesis_profile import register_profiles
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu, narrow_to_one_gpu, visible_gpus
from kernelgate.operations.operation import find_operation
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import ORDER, Request
from kernelgate.reporting.progress import StageProgress
from kernelgate.reporting.report import Report, make_report
from kernelgate.reporting.report_files import write_report
from kernelgate.reporting.terminal import render_summary
from kernelgate.settings import Settings, SettingsError, load_settings
from kernelgate.verdict import Rule

ROOT = Path(__file__).resolve().parent
REPORT = pytest.StashKey[Report]()
SUMMARY = "kernelgate_summary"
CONCLUDED = pytest.StashKey[tuple[str, str, bool]]()
"""Operation, summary and whether the verdict passes, of this process or of the worker that judged."""

VISIBLE_GPUS = pytest.StashKey[tuple[str, ...]]()
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
    group.addoption("--stage", choices=STAGES, help="what may change; default: what [tool.kernelgate] says")
    group.addoption(
        "--rule",
        choices=[*Rule],
        help="what to prove: tune, a gain; guard, no loss (default for the accepted kernel)",
    )
    group.addoption(
        "--report-dir", metavar="DIR", default="gate-report", help="where reports go; default: %(default)s"
    )
    group.addoption(
        "--code-path",
        choices=[f"sm_{ADA}"],
        help="have the GPU run the PTX of an RTX 4090, assembled for it; decides nothing about speed",
    )
    group.addoption("--corpus-seeds", type=int, default=1, help="seeds for each file of the planted corpus")
    group.addoption("--fault-share", type=int, default=1, help="judge one fault of it in so many")
    group.addoption("--honest-share", type=int, default=1, help="judge one honest file of it in so many")
    group.addoption("--corpus-record", metavar="FILE", help="append what each file of the corpus showed")
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
    measure = any(item.get_closest_marker("perf") for item in request.session.items)
    if measure and os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail("timing needs the machine to itself: run -m perf without -n", pytrace=False)
    try:
        gpu = _gpu_at_hand(measure)
        settings = load_settings(ROOT / "pyproject.toml")
        asked = _read_options(pytestconfig, settings, gpu, measure)
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


def _read_options(config: pytest.Config, settings: Settings, gpu: Gpu | None, measure: bool) -> Request:
    name = config.getoption("--operation") or settings.operation
    candidate = config.getoption("--candidate") or os.path.relpath(kernel_path(ROOT, find_operation(name)))
    if not str(candidate).isprintable():
        raise ValueError(f"--candidate {str(candidate)!a}: the name must be printable text")
    if config.getoption("--code-path") and (gpu is None or gpu.capability <= ADA):
        at_hand = f"{gpu.name} is sm_{gpu.capability}" if gpu else "there is none"
        raise ValueError(f"--code-path sm_{ADA}: needs a GPU newer than sm_{ADA}: {at_hand}")
    replay, rule = config.getoption("--replay"), config.getoption("--rule")
    return Request(
        root=ROOT,
        candidate=Path(candidate),
        operation=name,
        accepted=config.getoption("--accepted"),
        stage=config.getoption("--stage") or settings.stage_of(Path(candidate)),
        rule=Rule(rule) if rule else None,
        report_dir=Path(config.getoption("--report-dir")),
        gpu=gpu,
        measure=measure,
        replay=parse_case(replay) if replay else None,
        gpus=config.stash[VISIBLE_GPUS] if gpu else (),
        ada_path=bool(config.getoption("--code-path")),
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[VISIBLE_GPUS] = visible_gpus()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        torch.set_num_threads(1)  # the cores are shared out already
    narrow_to_one_gpu(config.stash[VISIBLE_GPUS], os.environ.get("PYTEST_XDIST_WORKER"))
    with contextlib.suppress(SettingsError):  # the gate's fixture says what is wrong with them
        register_profiles(load_settings(ROOT / "pyproject.toml").correctness)
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
    output = getattr(session.config, "workeroutput", None)
    if report is not None and output is not None:
        output[SUMMARY] = (report.operation, render_summary(report), report.passes)
    elif report is not None:
        session.config.stash[CONCLUDED] = (report.operation, render_summary(report), report.passes)
    concluded = session.config.stash.get(CONCLUDED, None)
    if concluded is not None and not concluded[2] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the verdict of the worker that judged."""
    if SUMMARY in getattr(node, "workeroutput", {}):
        node.config.stash[CONCLUDED] = tuple(node.workeroutput[SUMMARY])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the gate's tests to one worker, in their order: they are steps of one judgement."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - it need not be installed

    class OneJudge(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "gate" if nodeid.startswith("tests/gate/") else nodeid

    return OneJudge(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    concluded = config.stash.get(CONCLUDED, None)
    if concluded is not None:
        terminalreporter.section(f"kernelgate: {concluded[0]}")
        terminalreporter.write_line(concluded[1])
        terminalreporter.write_line(f"  report: {Path(config.getoption('--report-dir')) / 'report.md'}")
