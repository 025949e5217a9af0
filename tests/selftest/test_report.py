"""What people and programs read: nothing that a candidate says can leave its place in it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kernelgate.baselines import Provenance
from kernelgate.candidate import Violation
from kernelgate.cases import Case
from kernelgate.compile_check import CompiledKernel
from kernelgate.compile_stage import CompileResult
from kernelgate.correctness import Correctness, Finding
from kernelgate.gate import ORDER, Gate, StageResult
from kernelgate.gpu import Gpu
from kernelgate.launches import ConfigRecord
from kernelgate.operations import KernelConfig
from kernelgate.performance import Performance
from kernelgate.report import (
    KernelIdentity,
    Report,
    make_report,
    render_markdown,
    render_summary,
    write_report,
)
from kernelgate.slowdown import Slowdown
from kernelgate.timing import ARMS
from kernelgate.verdict import NEXT_STEPS, Outcome, Rule, conclude

SHA = "a" * 64
ENVIRONMENT = Provenance(python="3.11", torch="2.11", triton="3.6", cuda="13", cudnn="9", driver="unknown")
SMUGGLED = [
    "x |\n# WRONG -> KEEP",
    "| x |\n| --- |\n| KEEP |",
    "\n\n## Verdict\n\nKEEP",
    "<script>alert(1)</script>",
    "<!-- hidden -->",
    "</td></tr></table><h1>KEEP</h1>",
    "```\n# KEEP\n```",
    "` | ` |",
    "\\| a \\\\| b",
    "[KEEP](https://example.org)",
    "![x](https://example.org/x.png)",
    "**Next:** nothing",
    "&#35; KEEP &lt;b&gt;",
    "\r\n- KEEP\n1. KEEP\n> KEEP",
    "\x1b[2J\x1b[1mKEEP",
]


def make_report_of(detail: str = "as it should be", path: str = "kernels/a.py", **changes: Any) -> Report:
    report = Report(
        verdict=Outcome.WRONG,
        reason="hard-bound",
        detail=detail,
        next_step=NEXT_STEPS[Outcome.WRONG],
        passes=False,
        operation="alexnet_conv1",
        stage="open",
        rule="tune",
        candidate=KernelIdentity(path=path, sha256=SHA),
        accepted=KernelIdentity(path="HEAD:kernels/a.py", sha256=SHA),
        stages={name: StageResult(status="passed", detail=detail, seconds=1.5) for name in ORDER},
        environment=ENVIRONMENT,
        gpu="NVIDIA H200",
    )
    return msgspec.structs.replace(report, **changes)


def with_result(name: str, result: Any) -> Report:
    report = make_report_of()
    stage = msgspec.structs.replace(report.stages[cast("Any", name)], result=result)
    return msgspec.structs.replace(report, stages={**report.stages, name: stage})


def make_compile_result(text: str) -> CompileResult:
    config = KernelConfig(blocks={"M": 32, "N": text}, num_warps=4, num_stages=2)
    refused = ConfigRecord(config=config, launches=(), error=text or "none")
    kernel = CompiledKernel(target="sm_89", kernel_sha256=SHA, configs=(refused,))
    return CompileResult(
        candidate=kernel,
        accepted=kernel,
        at_hand=kernel,
        accepted_from_record=False,
        same_code=False,
        changes=(f"{config}: spills 0 -> 4 bytes a thread",),
        twins=(f"{config}: the same machine code",),
    )


def make_correctness(text: str) -> Correctness:
    case = Case(batch=3, family="normal", seed=1, pin=0, programs=10)
    return Correctness(
        where="interpreter",
        examples=5,
        seconds=1.0,
        entropy=9,
        bound_fraction=2.0,
        error_ratio=float("inf"),
        vendor_ratio=None,
        finding=Finding(case=case, law=text or "raises", detail=text, forbidden=False),
    )


def make_performance(text: str) -> Performance:
    slowdown = Slowdown(estimate=-0.02, low=-0.03, high=-0.01, replicates=(-0.02,) * 4, confidence=0.95)
    return Performance(
        gpu=Gpu(name="NVIDIA H200", uuid="GPU-0", capability=90, driver="580", l2_bytes=1),
        batch=256,
        rule="tune",
        candidate=slowdown,
        control=slowdown,
        candidate_to_original=slowdown,
        candidate_to_vendor=slowdown,
        accepted_to_original=slowdown,
        accepted_to_vendor=slowdown,
        time_ms=dict.fromkeys(ARMS, 1.8),
        chosen=dict.fromkeys(ARMS, (text,)),
        floor_ms=0.1,
        sm_clock_mhz=(1900, 1980),
        seconds=30.0,
        remarks=(f"remark {text}",),
        verdict=conclude(Outcome.KEEP, "proven-gain", "gain 2 %"),
    )


def parse_markdown(report: Report) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parser.parse(render_markdown(report))


def outline(report: Report) -> list[str]:
    """Return the structure of the Markdown as it is rendered: blocks, and what is in them but text."""
    found = []
    for token in parse_markdown(report):
        inline = [child.type for child in token.children or ()]
        found += [token.type, *(kind for kind in inline if kind not in ("text", "text_special"))]
    return found


def count_shown(report: Report, text: str) -> int:
    """Return how many cells and paragraphs show the text to its end, on one line."""
    blocks = ["".join(child.content for child in token.children or ()) for token in parse_markdown(report)]
    return sum(block.replace("\u200b", "").endswith(" ".join(text.split())) for block in blocks)


def headings(report: Report) -> list[str]:
    return [line for line in render_markdown(report).splitlines() if line.startswith("#")]


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_detail_cannot_leave_its_place(smuggled: str) -> None:
    """Neither in the paragraph nor in the table of stages."""
    for detail in (f"broken: {smuggled}", f"{smuggled} broken"):
        assert outline(make_report_of(detail)) == outline(make_report_of())
        assert count_shown(make_report_of(detail), detail) == 1 + len(ORDER)


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_path_cannot_leave_its_place(smuggled: str) -> None:
    """A file may be called anything."""
    assert outline(make_report_of(path=f"kernels/{smuggled}.py")) == outline(make_report_of())
    assert headings(make_report_of(path=f"kernels/{smuggled}.py"))[1:] == headings(make_report_of())[1:]


@pytest.mark.parametrize("smuggled", SMUGGLED)
@pytest.mark.parametrize(
    ("stage", "make"),
    [("compile", make_compile_result), ("correctness", make_correctness), ("performance", make_performance)],
)
def test_what_a_stage_found_cannot_leave_its_place(stage: str, make: Any, smuggled: str) -> None:
    """Compiler errors, values of configurations, laws and autotuners' choices are the candidate's words."""
    assert outline(with_result(stage, make(smuggled))) == outline(with_result(stage, make("plain")))


@pytest.mark.parametrize("place", ["detail", "path"])
def test_nobody_is_mentioned(place: str) -> None:
    """An @name is text for the eye, not a call."""
    text = render_markdown(make_report_of(**{place: "ask @somebody"}))
    paragraphs = text if place == "detail" else text.partition("\n")[2]
    assert "somebody" in text
    assert "@somebody" not in paragraphs


@pytest.mark.parametrize("smuggled", [text for text in SMUGGLED if set(text) & set("|<`&") or "](" in text])
def test_what_is_smuggled_would_be_seen(monkeypatch: pytest.MonkeyPatch, smuggled: str) -> None:
    """Without the escaping, each of them changes the structure, or what is shown."""
    monkeypatch.setattr("kernelgate.report._ENTITIES", {})
    report = make_report_of(f"broken: {smuggled}")
    whole = count_shown(report, f"broken: {smuggled}") == 1 + len(ORDER)
    assert not whole or outline(report) != outline(make_report_of())


def test_ordinary_words_are_shown_as_they_are() -> None:
    """What a person should read is still to be read."""
    report = make_report_of("alexnet_conv1: error 0.031, allowed 0.004 (line 3)")
    assert "alexnet_conv1: error 0.031, allowed 0.004 (line 3)" in render_markdown(report)
    assert headings(report)[0] == "# WRONG: `kernels/a.py`"


def test_the_replay_is_in_the_report() -> None:
    """The smallest failing case can be copied from it."""
    text = render_markdown(with_result("correctness", make_correctness("hard-bound")))
    assert "--replay batch=3,family=normal,seed=1,pin=0,programs=10" in text


@pytest.mark.parametrize(
    "smuggled", ["x\nKEEP  (proven-gain)", "x\n::error::KEEP", "\x1b[2Jx\rKEEP", "x\n  next: none"]
)
def test_a_detail_cannot_forge_a_line_of_the_terminal(smuggled: str) -> None:
    """Each line that is not the gate's own is marked, and no control character is written."""
    lines = render_summary(make_report_of(smuggled)).splitlines()
    honest = render_summary(make_report_of()).splitlines()
    own = [line for line in lines if not line.startswith("  | ")]
    assert len(own) == len(honest)
    assert own[0] == honest[0]
    assert all(line.isprintable() for line in lines)
    assert not any(line.strip().startswith("::") for line in lines)


def test_the_json_has_every_promised_key(tmp_path: Path) -> None:
    """It is read back by any JSON reader, without a NaN or an infinity in it."""
    report = with_result("correctness", make_correctness("hard-bound"))
    write_report(report, tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "report.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["schema"] == "kernelgate.report/1"
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
        candidate=Path("k.py"), operation="alexnet_conv1", stage="open", measure=measure, gpu=None
    )
    fake = SimpleNamespace(
        request=request,
        verdict=lambda: conclude(outcome, "some-reason", "A sentence."),
        rule=Rule.TUNE,
        candidate_sha256=None,
        accepted=SimpleNamespace(path="HEAD:k.py", sha256=SHA),
        results={name.replace("_", "-"): result for name, result in results.items()},
        environment=ENVIRONMENT,
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
    assert "k.py (unread)" in render_markdown(report)
