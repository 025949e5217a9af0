"""One list of reason codes: what the sources can answer is in it, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernelgate.baselines.store import NEXT_STEPS
from kernelgate.compilation.stage_rules import STAGES
from kernelgate.correctness.coverage.laws import LAWS
from kernelgate.execution.launch_plan import Unplanned
from kernelgate.kernel_file.reach import LOOKS, REACHES
from kernelgate.reporting.verdict_list import render_verdicts
from kernelgate.sandbox.faults import FaultKind
from kernelgate.verdict import Outcome, Reason, Verdict, conclude

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "kernelgate"
CODES = {reason.value for reason in Reason}
FAULTS = [kind.reason for kind in FaultKind]
NO_VERDICT = {"missing", "no-reason", "other-problem"}
"""A record that is missing or of another problem file is none; only who accepts a proposal gives a reason."""


def nodes_of(*places: str) -> Iterator[ast.AST]:
    for place in places:
        path = PACKAGE / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def texts_in(node: ast.AST | None) -> set[str]:
    """Return the texts that an expression may be: of a choice both, of a format string each kind."""
    if isinstance(node, ast.IfExp):
        return texts_in(node.body) | texts_in(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return {ast.unparse(node).strip("f'\"").replace("{kind}", kind) for kind in ("kernel", "wrapper")}
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def given_to(names: set[str], argument: int | str, *places: str) -> set[str]:
    """Return the texts that calls of these names give for one argument, by place or by keyword."""
    found: set[str] = set()
    for node in nodes_of(*places):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
            if isinstance(argument, int):
                found |= texts_in(node.args[argument]) if len(node.args) > argument else set()
            else:
                given = (keyword.value for keyword in node.keywords if keyword.arg == argument)
                found |= texts_in(next(given, None))
    return found


def named_in_sources() -> set[str]:
    return {
        Reason[node.attr].value
        for node in nodes_of("")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason" and node.attr != "of"
    }


def format_codes() -> set[str]:
    rules = given_to({"_violation"}, 0, "kernel_file/format.py")
    rules |= given_to({"Violation"}, "rule", "kernel_file")
    rules |= given_to({"UnreadableKernel"}, 1, "kernel_file")
    rules |= {REACHES, LOOKS}
    return {f"format-{rule}" for rule in rules}


def stage_codes() -> set[str]:
    file = "compilation/stage_rules.py"
    pairs = (node.value for node in nodes_of(file) if isinstance(node, ast.Yield))
    rules = {text for pair in pairs if isinstance(pair, ast.Tuple) for text in texts_in(pair.elts[0])}
    anywhere = {f"{stage}-{rule}" for stage in STAGES for rule in given_to({"Violation"}, "rule", file)}
    return anywhere | {f"final-micro-tuning-{rule}" for rule in rules}


def law_codes() -> set[str]:
    """Return the laws of the report's table and those that checks name; `runs` is one law of many codes."""
    faults = {kind.value for kind in FaultKind if given_as_fault(kind)}
    return (
        {law.name for law in LAWS} - {"runs"}
        | given_to({"Broken"}, "law", "operations", "correctness")
        | faults
    )


def given_as_fault(kind: FaultKind) -> bool:
    """Return whether the sources of the judge or of the worker name this kind of fault."""
    named = {"FaultKind", "FailureKind"}
    nodes = nodes_of("sandbox/worker_process.py", "performance", "worker", "compilation")
    attributes = (node for node in nodes if isinstance(node, ast.Attribute) and node.attr == kind.name)
    return any(ast.unparse(node.value).rpartition(".")[2] in named for node in attributes)


def record_codes() -> set[str]:
    # The compile record is used whatever kernel it is of.
    compiled = {f"record-{reason}" for reason in NEXT_STEPS.keys() - NO_VERDICT - {"stale"}}
    return compiled | {f"baseline-{reason}" for reason in NEXT_STEPS.keys() - NO_VERDICT}


def plan_codes() -> set[str]:
    """Return what a recorder may name, and what the comparison of plans does."""
    assert '"calls-differ"' in (PACKAGE / "compilation" / "forms.py").read_text(encoding="utf-8")
    return {each.value for each in Unplanned} | {"calls-differ"}


def problem_codes() -> set[str]:
    """Return what a problem file may be refused for."""
    nodes = nodes_of("operations/problem")
    raised = (node for node in nodes if isinstance(node, ast.Call) and node.args)
    kinds = (node.args[0] for node in raised if ast.unparse(node.func) == "ProblemError")
    return {f"problem-{kind.value}" for kind in kinds if isinstance(kind, ast.Constant)}


def arm_codes() -> set[str]:
    return {f"arm-{reason}" for reason in FAULTS if reason.outcome is not Outcome.INVALID}


def test_the_list_holds_what_the_sources_can_answer_and_nothing_else() -> None:
    """A code that is not in it would end a judgement, one that nothing answers is a promise not kept."""
    families = [format_codes(), stage_codes(), law_codes(), record_codes(), arm_codes(), plan_codes()]
    families.append(problem_codes())
    assert all(len(family) > 6 for family in families), "the sources are read as they are written"
    assert named_in_sources().union(*families) == CODES


def test_every_fault_of_a_worker_has_a_reason() -> None:
    """Whoever sees it: the process itself, or the judge."""
    assert [reason.value for reason in FAULTS] == [kind.value for kind in FaultKind]


def test_every_law_is_a_code() -> None:
    """Under the name that the report's table of laws has; how a process failed is one law of many codes."""
    assert {law.name for law in LAWS} - {"runs"} <= CODES


@pytest.mark.parametrize("reason", Reason)
def test_each_code_is_in_kebab_case_and_has_a_sentence_for_meaning_and_next_step(reason: Reason) -> None:
    """Programs match the code, people read the sentences."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason.value)
    assert Reason.of(reason.value) is reason
    for sentence in (reason.meaning, reason.next_step):
        assert re.fullmatch(r"[A-Z][^\n|]*\.", sentence), sentence


def test_no_two_codes_mean_the_same() -> None:
    """Nor is one code listed twice, which would be an alias."""
    assert len({reason.meaning for reason in Reason}) == len(Reason) == len(Reason.__members__)


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_codes_of_its_own(outcome: Outcome) -> None:
    """A code of another outcome is refused: it would mean two things."""
    own = [reason for reason in Reason if reason.outcome is outcome]
    assert own
    assert conclude(outcome, own[0], "A sentence.").next_step == own[0].next_step
    other = next(reason for reason in Reason if reason.outcome is not outcome)
    with pytest.raises(ValueError, match=f"is of {other.outcome}, not of {outcome}"):
        conclude(outcome, other, "A sentence.")


@pytest.mark.parametrize(("detail", "next_step"), [("", "Do it."), ("A sentence.", "")])
def test_a_verdict_without_words_is_refused(detail: str, next_step: str) -> None:
    """It would tell nobody what to do."""
    with pytest.raises(ValueError, match="must not be empty"):
        Verdict(outcome=Outcome.KEEP, reason=Reason.PROVEN_GAIN, detail=detail, next_step=next_step)


@pytest.mark.parametrize("code", ["raises", "no-answer", "out-of-memory", "prints", "format-order"])
def test_where_nothing_can_be_replayed_the_next_step_asks_for_no_input(code: str) -> None:
    """A file that does not compile has no failing input."""
    assert "smallest failing input" not in Reason.of(code).next_step


def test_the_page_of_verdicts_is_up_to_date() -> None:
    """Made again after each change: `python -m kernelgate.reporting.verdict_list > docs/verdicts.md`."""
    assert (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8") == render_verdicts()
