"""What a report holds: every stage and law, the case to replay, and the same for programs as for people."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from kernelgate.execution.work import PlanWork
from kernelgate.kernel_file.violation import Violation
from kernelgate.performance.explanation.users_choice import UsersChoice
from kernelgate.pipeline.pipeline import ORDER, Gate, StageResult
from kernelgate.reporting.interval_chart import draw_gain
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import KernelIdentity, Report, make_report
from kernelgate.reporting.report_files import write_report
from kernelgate.sandbox.confinement import Confinement
from kernelgate.verdict import Outcome, Rule, conclude
from tests.selftest.support.any_reason import any_reason
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.made_up_reports import (
    ENVIRONMENT,
    SHA,
    SMUGGLED,
    make_compile_result,
    make_correctness,
    make_performance,
    make_report_of,
    with_result,
)


def test_the_replay_is_in_the_report() -> None:
    """The smallest failing case can be copied from it."""
    text = render_markdown(with_result("correctness", make_correctness("hard-bound")))
    assert "--replay batch=3,family=normal,seed=1,pin=0,programs=10" in text


def test_each_law_has_a_line_with_what_became_of_it() -> None:
    """What was not tried is said as plainly as what held, and why."""
    text = render_markdown(with_result("correctness", make_correctness("off by one")))
    assert "| form | held | 5 | a tensor |" in text
    assert "| hard-bound | broken | 5 | off by one |" in text
    assert "| second-opinion | not tried | 0 | needs a GPU |" in text


def test_how_much_was_tried_is_in_the_report() -> None:
    """By whose profile, how many cases and calls, where, and what seeds them."""
    text = render_markdown(with_result("correctness", make_correctness("plain")))
    assert "| cases | 5 on the interpreter, 29 calls; profile default |\n| seed of the draws | 9 |" in text


def test_where_no_answer_came_no_error_is_told() -> None:
    """Its errors would be zeros that nobody measured."""
    result = make_correctness("plain")
    assert "| worst element |" in render_markdown(with_result("correctness", result))
    silent = render_markdown(with_result("correctness", msgspec.structs.replace(result, calls=0)))
    assert "worst element" not in silent
    assert "rms error" not in silent


@pytest.mark.parametrize(("ratio", "is_float32"), [(0.002, True), (0.5, False), (1.0, False)])
def test_the_vendor_s_precision_is_named_by_its_error(ratio: float, is_float32: bool) -> None:
    """At small batches cuDNN takes float32 algorithms, where TF32 is allowed too."""
    result = msgspec.structs.replace(make_correctness("plain"), vendor_ratio=ratio)
    text = render_markdown(with_result("correctness", result))
    assert f"| vendor's rms error | {ratio:.2g} times the declared math's own" in text
    assert ("it took float32 here" in text) == is_float32


@pytest.mark.parametrize("products", [("tf32",), ("fma",), ()])
def test_the_products_of_a_kernel_are_named(products: tuple[str, ...]) -> None:
    """In what its sums of products are formed; a dash where it has none. One launched twice has one row."""
    launch = make_launch(
        grid=(1, 1, 1),
        arguments_sha256=SHA,
        code_sha256=SHA,
        registers=168,
        shared_bytes=24576,
        blocks_per_sm=3,
        warps_per_sm=12,
        products=products,
    )
    other = msgspec.structs.replace(launch, code_sha256="b" * 64, warps_per_sm=8)
    result = make_compile_result("64")
    record = msgspec.structs.replace(result.candidate.configs[0], launches=(launch, launch, other), error="")
    kernel = msgspec.structs.replace(result.candidate, configs=(record,))
    text = render_markdown(with_result("compile", msgspec.structs.replace(result, candidate=kernel)))
    shown = "/".join(products) or "-"
    assert text.count(f"| 12 | {shown} |") == text.count(f"| 8 | {shown} |") == 1


WORK = PlanWork(
    products=38_060_000_000, products_needed=26_990_000_000, bytes_asked=20 * 2**20, bytes_needed=2**20
)


def with_works(*works: PlanWork | None) -> Report:
    """Return a report whose candidate has a configuration of each of these works."""
    result = make_compile_result("64")
    configs = result.candidate.configs * len(works)
    kernel = msgspec.structs.replace(result.candidate, configs=configs, works=works)
    return with_result("compile", msgspec.structs.replace(result, candidate=kernel))


def test_the_work_of_a_call_is_told_beside_what_is_needed() -> None:
    """Products formed, and bytes asked; a dash for the products of a kernel without any."""
    page = render_markdown(with_works(WORK, msgspec.structs.replace(WORK, products=0)))
    assert "| 3.806e+10 | 1.41 | 20.0 MiB | 20.0 |" in page
    assert "| - | - | 20.0 MiB | 20.0 |" in page


@pytest.mark.parametrize("works", [(None,), (None, WORK)])
def test_work_that_cannot_be_counted_is_left_out(works: tuple[PlanWork | None, ...]) -> None:
    """Of the other configurations it is told; without any there is no table."""
    page = render_markdown(with_works(*works))
    assert ("### Work of a call" in page) == (WORK in works)
    assert page.count("20.0 MiB") == works.count(WORK)


def test_the_json_has_every_promised_key(tmp_path: Path) -> None:
    """It is read back by any JSON reader, without a NaN or an infinity in it."""
    report = with_result("correctness", make_correctness("hard-bound"))
    write_report(report, tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["schema"] == "kernelgate.report/2"
    assert (document["verdict"], document["reason"], document["passes"]) == ("WRONG", "hard-bound", False)
    assert document["candidate"] == {"path": "kernels/a.py", "sha256": SHA}
    assert list(document["stages"]) == list(ORDER)
    assert {stage["status"] for stage in document["stages"].values()} == {"passed"}
    assert document["environment"] == msgspec.structs.asdict(ENVIRONMENT)
    assert document["stages"]["correctness"]["result"]["finding"]["case"]["batch"] == 3
    assert document == json.loads(msgspec.json.encode(msgspec.to_builtins(report)))


def test_the_json_holds_a_detail_as_it_was(tmp_path: Path) -> None:
    """Escaping is for what is rendered."""
    for smuggled in SMUGGLED:
        write_report(make_report_of(smuggled), tmp_path)
        document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        assert document["detail"] == smuggled


def make_gate(outcome: Outcome, measure: bool, **results: StageResult) -> Gate:
    """Return what a report asks of a gate, and nothing else of one."""
    request = SimpleNamespace(
        candidate=Path("k.py"),
        operation="alexnet_conv1",
        stage="open",
        measure=measure,
        gpu=None,
        ada_path=False,
        algorithm="direct",
        problem=None,
        accepted_name=None,
    )
    fake = SimpleNamespace(
        request=request,
        verdict=lambda: conclude(outcome, any_reason(outcome), "A sentence."),
        rule=Rule.TUNE,
        candidate_sha256=None,
        accepted=SimpleNamespace(path="HEAD:k.py", sha256=SHA),
        results={name.replace("_", "-"): result for name, result in results.items()},
        environment=ENVIRONMENT,
        counters=None,
        open_sandbox=None,
        kept_book=None,
        confinement=Confinement(landlock=7, seccomp=True),
        advice=(Violation(rule="reaches-out", line=3, message="got gc"),),
    )
    return cast("Gate", fake)


def test_a_stage_that_was_not_asked_for_is_not_run() -> None:
    """It is in the report all the same, and never passed."""
    broken = Violation(rule="order", line=3, message="late")
    failed = StageResult(status="failed", detail="late", result=(broken,))
    report = make_report(make_gate(Outcome.FORBIDDEN, measure=False, format=failed))
    assert list(report.stages) == list(ORDER)
    assert report.stages["format"] == failed
    assert {report.stages[name].status for name in ORDER[1:]} == {"not-run"}


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_report_passes_as_its_outcome_does(outcome: Outcome, measure: bool) -> None:
    """But where the speed was asked for, not to have measured it is no pass."""
    report = make_report(make_gate(outcome, measure))
    unanswered = measure and outcome is Outcome.NOT_MEASURED
    assert report.passes == (outcome.passes and not unanswered)


def test_a_candidate_that_could_not_be_read_has_no_digest() -> None:
    """And the report can still be written."""
    report = make_report(make_gate(Outcome.FORBIDDEN, measure=False))
    assert report.candidate == KernelIdentity(path="k.py", sha256=None)
    assert "k.py (not read)" in render_markdown(report)


def test_a_timing_is_drawn_with_the_confidence_of_its_interval() -> None:
    """The chart stands before the table, whose heading says how sure the ends are."""
    result = make_performance("chosen")
    narrow = msgspec.structs.replace(result.candidate, confidence=0.9926)
    report = with_result("performance", msgspec.structs.replace(result, candidate=narrow, band=(0.03, 0.04)))
    page = render_markdown(report)
    assert draw_gain(narrow, (0.03, 0.04)) in page
    assert "| interval at 99.26 % |" in page


@pytest.mark.parametrize(
    ("users", "told"),
    [
        (UsersChoice(config="b", fastest="b"), "users get b: the file's own autotuner takes one as fast as"),
        (
            UsersChoice(config="c", fastest="b", slower=0.004),
            "users get c: the file's own autotuner takes one",
        ),
        (
            UsersChoice(config="c", fastest="b", slower=0.0123),
            "users get c, which is 1.23 % slower than the one that was timed, b",
        ),
        (UsersChoice(missing="was not asked"), "which configuration users get was not asked"),
    ],
)
def test_what_users_get_is_told(users: UsersChoice, told: str) -> None:
    """Where it is slower than what was timed, by how much; and where it is not known, why."""
    report = with_result("performance", msgspec.structs.replace(make_performance("b"), users=users))
    assert f"\n- {told}" in render_markdown(report)
    assert "users get" not in render_markdown(with_result("performance", make_performance("b")))
