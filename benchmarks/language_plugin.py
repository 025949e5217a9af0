"""A pytest plugin that judges Triton's own tests by what they assert of interpreted launches.

Compilation ends at the TTIR, and each launch of it is interpreted. `--judge-by triton` leaves launches to
Triton's interpreter. `benchmarks.language_tests` starts it.
"""

import os
import signal
import zlib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.execution.cards import KNOWN
from kernelgate.interpreter.errors import CannotInterpretError

TEST_LIMIT_S = 60
LAUNCHES: list[frozenset[str]] = []
"""What was found of each launch of the test that runs."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One test, what came of it, and why.

    - right: all that it asserts of its launches holds; with-findings: it does, and a program did what no
      right kernel does; wrong: it does not hold.
    - not-interpreted: an operation is lacking; too-slow; machine-code: answers were right up to where the
      test reads PTX or the like.
    - not-judged: it launched nothing, or asserts no answer; skipped: it is not for such a GPU.
    """

    test: str
    outcome: str
    why: str = ""


JUDGED: list[Judged] = []
OUTCOMES = (
    "right", "with-findings", "machine-code", "not-interpreted", "too-slow", "wrong", "not-judged", "skipped"
)  # fmt: skip


class TooSlowError(Exception):
    """A test took too long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the command hands on."""
    parser.addoption("--judge-by", choices=("kernelgate", "triton"), default="kernelgate")
    parser.addoption("--capability", type=int, default=89)
    parser.addoption("--one-of", type=int, default=1)
    parser.addoption("--judged", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Have launches interpreted, before any test file is imported."""
    config.addinivalue_line("markers", "interpreter: what Triton's interpreter is tried on")
    if config.option.judge_by == "triton":
        os.environ["TRITON_INTERPRET"] = "1"
        _note_launches_of_triton()
        return
    from benchmarks.interpreting_driver import interpret_launches  # noqa: PLC0415 - it imports Triton

    interpret_launches(
        KNOWN[config.option.capability],
        lambda done: LAUNCHES.append(frozenset(each.kind for each in done.findings)),
    )


def _note_launches_of_triton() -> None:
    from triton.runtime.interpreter import GridExecutor  # noqa: PLC0415 - after the mode is set

    launch = GridExecutor.__call__

    def launch_and_note(self: Any, *given: Any, **named: Any) -> Any:
        LAUNCHES.append(frozenset())
        return launch(self, *given, **named)

    GridExecutor.__call__ = launch_and_note


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one of so many cases of each test, by their names, and at least one."""
    of_function: dict[str, list[pytest.Item]] = {}
    for item in items:
        of_function.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in of_function.values():
        cases.sort(key=lambda case: zlib.crc32(case.nodeid.encode()))
        del cases[-(-len(cases) // config.option.one_of) :]
    items[:] = [item for cases in of_function.values() for item in cases]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run a test on what looks like a GPU, within a limit of time."""
    LAUNCHES.clear()
    before = signal.signal(signal.SIGALRM, _end)
    signal.alarm(TEST_LIMIT_S)
    try:
        with _pretence(item.config.option.judge_by):
            return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _pretence(judge_by: str) -> AbstractContextManager[Any]:
    if judge_by == "triton":
        return nullcontext()
    from kernelgate.worker.fake_cuda.tensors import PretendedGpu  # noqa: PLC0415 - it imports torch

    return PretendedGpu()


def _end(*_: Any) -> None:
    raise TooSlowError(f"over {TEST_LIMIT_S} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what came of the test in its report, which goes to the process that gets them all."""
    report = yield
    if call.when == "call" or (call.when == "setup" and report.outcome != "passed"):
        error = call.excinfo.value if call.excinfo is not None else None
        report.user_properties.append(("judged", judge(error, LAUNCHES)))
    return report


def judge(error: BaseException | None, launches: list[frozenset[str]]) -> tuple[str, str]:
    """Return the outcome of a test by what it raised and what was found of its launches, and why."""
    found = frozenset[str]().union(*launches)
    if error is None:
        return ("with-findings" if found else "right" if launches else "not-judged"), ", ".join(sorted(found))
    why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    known = {
        "NoMachineCodeError": "machine-code" if launches else "not-judged",
        "TooSlowError": "too-slow",
        "InterpreterFaultError": "wrong",
        "Skipped": "skipped",
        "AssertionError": "wrong" if launches else "not-judged",
    }
    if isinstance(error, CannotInterpretError):
        return "not-interpreted", str(error)
    return known.get(type(error).__name__, "not-judged"), why


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a report says."""
    told: Any = dict(report.user_properties).get("judged")
    if told is not None and report.when != "teardown":
        JUDGED.append(Judged(test=report.nodeid, outcome=told[0], why=told[1]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was judged, where all of it is known."""
    if session.config.option.judged and not hasattr(session.config, "workerinput"):
        session.config.option.judged.write_bytes(msgspec.json.encode(JUDGED))
