"""pytest's options, fixtures and summary for the gate; every decision is taken elsewhere in the package.

pytest loads this module in every run, also for `--help` and for projects that have no gate. So a hook imports
what it needs when it needs it, and does nothing where `pyproject.toml` has no table `[tool.kernelgate]`.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec
import pytest

from kernelgate.errors import KernelgateError
from kernelgate.judging.options import REPORT_DIR, AskedError, add_options, make_request
from kernelgate.settings import has_table, load_settings

if TYPE_CHECKING:
    from kernelgate.pipeline.pipeline import Gate
    from kernelgate.pipeline.stage import Request, StageName
    from kernelgate.reporting.progress import StageProgress
    from kernelgate.reporting.report import Report

GATE = "tests/gate"
"""The suite that judges: a project that has it may leave `kernelgate-` out of the options' names."""

PREFIX = "kernelgate-"
SUMMARY = "kernelgate_summary"
REPORT: "pytest.StashKey[tuple[Report, str]]" = pytest.StashKey()
"""The report, and where it lies or why it does not."""

CONCLUDED = pytest.StashKey[tuple[str, str, bool]]()
"""What was judged, summary and whether the verdict passes, of this process or of the worker that judged."""

VISIBLE_GPUS = pytest.StashKey[tuple[str, ...]]()
TERMINAL = pytest.StashKey[TextIO]()
"""Is there where the project has a gate."""

PROGRESS: "pytest.StashKey[StageProgress]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    from kernelgate.settings import find_project

    group = parser.getgroup("kernelgate", f"the judgement of one kernel file ({GATE})")
    project = find_project(Path.cwd())
    is_short = project is not None and (project / GATE).is_dir()

    def add(*flags: str, **settings: Any) -> None:
        """Add an option by the plugin's name, and where that takes no name of another's, by its own."""
        full = [f"--{PREFIX}{flag.removeprefix('--')}" for flag in flags]
        group.addoption(*full, *(flags if is_short else ()), dest=_place(flags[0]), **settings)

    add("--candidate", metavar="FILE", help="kernel file to judge; default: the accepted kernel")
    add_options(add)


def _place(option: str) -> str:
    """Return where pytest keeps what was given for an option, as `--report-dir` or `report_dir`."""
    return f"{PREFIX}{option.removeprefix('--')}".replace("-", "_")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start again with the project's settings if an option's value has hidden them.

    pytest looks for its settings before it knows the options of a plugin. It then takes the `/tmp` of
    `--report-dir /tmp` for a folder of tests, and looks there.
    """
    settings = _find_hidden_settings(config)
    return pytest.main(["-c", str(settings), *config.invocation_params.args]) if settings else None


def _find_hidden_settings(config: pytest.Config) -> Path | None:
    if config.getoption("inifilename"):
        return None
    asked = config.getoption("file_or_dir", None)
    first = config.invocation_params.dir / (asked[0].split("::")[0] if asked else "")
    start = Path(os.path.normpath(first))
    project = next((folder for folder in (start, *start.parents) if has_table(folder)), None)
    settings = project / "pyproject.toml" if project else None
    return settings if settings != config.inipath else None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "perf: times kernels, on an NVIDIA GPU (pytest -m perf)")
    if not has_table(config.rootpath):
        return
    from kernelgate.machine.gpu import narrow_to_one_gpu, visible_gpus

    config.stash[VISIBLE_GPUS] = visible_gpus()
    narrow_to_one_gpu(config.stash[VISIBLE_GPUS], os.environ.get("PYTEST_XDIST_WORKER"))
    if name := config.getoption("--hypothesis-profile", None):
        _load_profiles(config.rootpath, name)  # it is looked up right after this hook
    # While a test runs, standard output is captured; a copy made before that still reaches the terminal.
    config.stash[TERMINAL] = os.fdopen(os.dup(1), "w")


def _load_profiles(root: Path, name: str | None = None) -> None:
    from hypothesis.errors import InvalidArgument

    from kernelgate.judging.machine import load_profile
    from kernelgate.settings import SettingsError

    try:
        settings = load_settings(root / "pyproject.toml").correctness
    except SettingsError as error:
        raise pytest.UsageError(f"kernelgate: {error}") from error
    try:
        load_profile(settings, name)
    except InvalidArgument as error:
        known = ", ".join(settings.profiles)
        raise pytest.UsageError(f"--hypothesis-profile {name}: unknown; known: {known}") from error


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the verdict, after whatever pytest says at the end of a run."""
    concluded = config.stash.get(CONCLUDED, None)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if concluded is not None and reporter is not None:
        reporter.section(f"kernelgate: {concluded[0]}")
        reporter.write_line(concluded[1])
    if TERMINAL in config.stash:
        config.stash[TERMINAL].close()


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Time nothing unless it is asked for, by `-m perf`: that needs a GPU."""
    if TERMINAL not in config.stash or config.getoption("markexpr"):
        return
    timed = [item for item in items if item.nodeid.startswith(f"{GATE}/") and item.get_closest_marker("perf")]
    items[:] = [item for item in items if item not in timed]
    config.hook.pytest_deselected(items=timed)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if TERMINAL in item.config.stash:
        _share_cores()


def _share_cores() -> None:
    """Keep PyTorch to one core in a worker of pytest-xdist: the cores are shared out already."""
    if os.environ.get("PYTEST_XDIST_WORKER") and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def gate(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> "Iterator[Gate]":
    """Give the judgement of this run: each stage is run once, by the first test that asks for it."""
    from kernelgate.machine.gpu import NO_GPU, GpuError
    from kernelgate.pipeline.pipeline import Gate
    from kernelgate.reporting.progress import StageProgress
    from kernelgate.reporting.report import make_report
    from kernelgate.reporting.report_files import prepare_folder

    measure = any(item.get_closest_marker("perf") for item in request.session.items)
    if measure and os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail("timing needs the machine to itself: run -m perf without -n", pytrace=False)
    try:
        settings = load_settings(pytestconfig.rootpath / "pyproject.toml")
        if measure and not pytestconfig.stash[VISIBLE_GPUS]:
            raise GpuError(NO_GPU)
        asked = make_request(
            lambda name: pytestconfig.getoption(_place(name)),
            pytestconfig.rootpath,
            settings,
            measure=measure,
        )
        is_default = asked.report_dir == Path(REPORT_DIR)
        folder = prepare_folder(asked.report_dir, is_default=is_default)
        asked = msgspec.structs.replace(asked, report_dir=folder)
        progress = StageProgress(pytestconfig.stash[TERMINAL], within_a_line=True)
        pytestconfig.stash[PROGRESS] = progress
        judgement = Gate(asked, settings, progress.note, partial(meet_machine, pytestconfig))
    except (KernelgateError, KeyError, ValueError) as error:
        pytest.exit(f"kernelgate: {error.args[0]}", returncode=pytest.ExitCode.USAGE_ERROR)
    signal.signal(signal.SIGTERM, _end_run)
    try:
        yield judgement
        judgement.keep_book()
    finally:
        judgement.close()
        pytestconfig.stash[REPORT] = _write(make_report(judgement), folder)


def _write(report: "Report", folder: Path) -> "tuple[Report, str]":
    """Return the report with where it lies; one that cannot be written passes nothing."""
    from kernelgate.reporting.report_files import write_report

    try:
        write_report(report, folder)
    except OSError as error:
        return msgspec.structs.replace(report, passes=False), f"could not be written: {error}"
    return report, str(folder / "report.md")


def _end_run(number: int, _frame: object) -> None:
    """End the run in order, so that its scratch folder goes: by itself a signal leaves it behind."""
    if "kernelgate.sandbox.worker_process" in sys.modules:
        from kernelgate.sandbox.worker_process import end_live_workers

        end_live_workers()  # or threads would wait for their answers first
    pytest.exit(f"kernelgate: ended by {signal.Signals(number).name}", returncode=128 + number)


@pytest.fixture
def assert_passed(gate: "Gate") -> "Callable[[StageName], None]":
    """Give what fails unless a stage passed or was not needed; one that could not run fails too."""

    def check(name: "StageName") -> None:
        result, verdict = gate.stage(name), gate.verdict_so_far
        if result.status == "not-run" and verdict is not None and not verdict.outcome.passes:
            # The run fails by its verdict: one cause is one red test.
            pytest.skip(f"not run: {result.detail}")
        if result.status in ("failed", "not-run"):
            why = f"{verdict.outcome} ({verdict.reason}), as told below" if verdict else result.detail
            pytest.fail(f"{name}: {result.status}: {why}", pytrace=False)

    return check


def meet_machine(config: pytest.Config, request: "Request") -> "Request":
    """Return the request with the GPUs at hand, and load what the stages after `format` need.

    Raises GpuError where timing was asked for and there is no GPU.
    """
    from kernelgate.judging import machine

    _load_profiles(config.rootpath)
    _share_cores()
    try:
        return machine.meet_machine(request, config.stash[VISIBLE_GPUS])
    except AskedError as error:
        pytest.exit(f"kernelgate: {error}", returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    if PROGRESS in item.config.stash:
        item.config.stash[PROGRESS].stop()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if the verdict does not pass, whatever the tests say."""
    if TERMINAL in session.config.stash and "hypothesis" not in sys.modules:
        # Its summary imports Hypothesis, also where no test has used it.
        session.config.pluginmanager.unregister(name="hypothesispytest")
    written = session.config.stash.get(REPORT, None)
    if written is not None:
        _conclude(session.config, *written)
    concluded = session.config.stash.get(CONCLUDED, None)
    if concluded is not None and not concluded[2] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _conclude(config: pytest.Config, report: "Report", place: str) -> None:
    """Keep what the summary says; a worker of pytest-xdist hands it to the process that started it."""
    from kernelgate.reporting.terminal import render_asked, render_summary

    asked = render_asked(report.candidate.path, report.operation, report.stage)
    concluded = (asked, f"{render_summary(report)}\n  report: {place}", report.passes)
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output[SUMMARY] = concluded
    else:
        config.stash[CONCLUDED] = concluded


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the verdict of the worker that judged."""
    if SUMMARY in getattr(node, "workeroutput", {}):
        node.config.stash[CONCLUDED] = tuple(node.workeroutput[SUMMARY])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the gate's tests to one worker, in their order: they are steps of one judgement."""
    if TERMINAL not in config.stash:
        return None
    from xdist.scheduler import LoadScopeScheduling  # it need not be installed

    class OneJudge(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return "gate" if nodeid.startswith(f"{GATE}/") else nodeid

    return OneJudge(config, log)
