"""pytest's options of the gate, and what they ask to be judged."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.declaration.operation import Algorithm
from kernelgate.settings import Settings, Stage
from kernelgate.verdict import Rule

if TYPE_CHECKING:
    from kernelgate.machine.gpu import Gpu
    from kernelgate.pipeline.stage import Request

CODE_PATH = "sm_89"
REPORT_DIR = "gate-report"


def add_options(parser: pytest.Parser) -> None:
    """Add the options that say what is judged, and how, to pytest's own."""
    group = parser.getgroup("kernelgate", "the judgement of one kernel file (tests/gate)")
    group.addoption("--candidate", metavar="FILE", help="kernel file to judge; default: the accepted kernel")
    group.addoption(
        "--operation", metavar="NAME", help="what it computes; default: that of [tool.kernelgate]"
    )
    _add_problem_options(group)
    group.addoption(
        "--accepted", metavar="FILE|REV", help="kernel to beat: a file or a git revision; default: HEAD"
    )
    group.addoption(
        "--stage", choices=get_args(Stage), help="what may change; default: what [tool.kernelgate] says"
    )
    group.addoption(
        "--algorithm",
        choices=get_args(Algorithm),
        default="direct",
        help="whose laws hold: the direct one's, or, in stage open, those of any; default: %(default)s",
    )
    group.addoption(
        "--rule",
        choices=[*Rule],
        help="what to prove: tune, a gain; guard, no loss (default for the accepted kernel)",
    )
    _add_outputs(group)


def _add_outputs(group: pytest.OptionGroup) -> None:
    """Add the options that say where things go, and what a run is that decides nothing."""
    group.addoption(
        "--report-dir", metavar="DIR", default=REPORT_DIR, help="where reports go; default: %(default)s"
    )
    group.addoption(
        "--code-path",
        choices=[CODE_PATH],
        help="have the GPU run the PTX of an RTX 4090, assembled for it; decides nothing about speed",
    )
    group.addoption("--plans", metavar="DIR", help="judge by this plan book; the kernel file is not run")
    group.addoption(
        "--keep-plans", metavar="DIR", help="write a plan book of a kernel that passes into this new folder"
    )
    group.addoption("--replay", metavar="CASE", help="judge this one correctness case, as a report names it")


def _add_problem_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--problem",
        metavar="FILE",
        help="what it computes, as a file in KernelBench's form; the file is trusted: the judge imports it",
    )
    group.addoption(
        "--math",
        choices=get_args(Math),
        help="least precise arithmetic of a problem; default: tf32 where it calls products, else float32",
    )


def refuse_code_path(request: "Request", gpu: "Gpu | None") -> None:
    """End the run, as for any wrong option, if the GPU cannot run an RTX 4090's code as another GPU's."""
    from kernelgate.compilation.stage import ADA

    if request.ada_path and (gpu is None or gpu.capability <= ADA):
        at_hand = f"{gpu.name} is sm_{gpu.capability}" if gpu else "there is none"
        wrong = f"--code-path sm_{ADA}: needs a GPU newer than sm_{ADA}: {at_hand}"
        pytest.exit(f"kernelgate: {wrong}", returncode=pytest.ExitCode.USAGE_ERROR)


def read_options(config: pytest.Config, settings: Settings, measure: bool) -> "Request":
    """Return what the command line asks to be judged, no GPU yet. Raises ValueError that names the option."""
    from kernelgate.baselines.kernels import kernel_path
    from kernelgate.correctness.case import parse_case
    from kernelgate.operations import find_operation
    from kernelgate.pipeline.stage import Request

    problem = _read_problem_option(config)
    name = config.getoption("--operation") or settings.operation
    candidate = config.getoption("--candidate") or os.path.relpath(
        kernel_path(config.rootpath, find_operation(name))
    )
    if not str(candidate).isprintable():
        raise ValueError(f"--candidate {str(candidate)!a}: the name must be printable text")
    replay, rule = config.getoption("--replay"), config.getoption("--rule")
    plans, keep_plans = _read_book_options(config)
    stage = config.getoption("--stage") or ("open" if problem else settings.stage_of(Path(candidate)))
    if problem and stage != "open":
        raise ValueError(f"--problem: needs --stage open, not {stage}: a problem has no original")
    return Request(
        root=config.rootpath,
        candidate=Path(candidate),
        operation=f"problem-{problem.stem}" if problem else name,
        accepted=config.getoption("--accepted"),
        stage=stage,
        rule=Rule(rule) if rule else None,
        report_dir=Path(config.getoption("--report-dir")),
        gpu=None,
        measure=measure,
        replay=parse_case(replay) if replay else None,
        ada_path=bool(config.getoption("--code-path")),
        plans=plans,
        keep_plans=keep_plans,
        algorithm=_read_algorithm(config, stage),
        problem=problem,
        math=config.getoption("--math"),
    )


def _read_problem_option(config: pytest.Config) -> Path | None:
    problem = config.getoption("--problem")
    if not problem:
        if config.getoption("--math"):
            raise ValueError("--math: needs --problem; an operation of the project declares its own")
        return None
    for option in ("--operation", "--plans", "--keep-plans"):
        if config.getoption(option):
            raise ValueError(f"--problem: not with {option}")
    if not config.getoption("--candidate"):
        raise ValueError("--problem: needs --candidate FILE: a problem has no accepted kernel")
    return Path(problem)


def _read_algorithm(config: pytest.Config, stage: str) -> Algorithm:
    algorithm: Algorithm = config.getoption("--algorithm")
    if algorithm == "any" and stage != "open":
        raise ValueError(f"--algorithm any: needs --stage open, not {stage}, which keeps the algorithm")
    return algorithm


def _read_book_options(config: pytest.Config) -> tuple[Path | None, Path | None]:
    """Return the plan book to judge by, and where to write one."""
    plans, kept = config.getoption("--plans"), config.getoption("--keep-plans")
    if plans and config.getoption("--code-path"):
        raise ValueError("--plans: a plan book holds each GPU's own code, not --code-path's")
    if kept and (plans or config.getoption("--replay")):
        raise ValueError("--keep-plans: only a judgement of the file itself, of every case, keeps its plans")
    if kept and Path(kept).exists():
        raise ValueError(f"--keep-plans {kept}: exists already; name a new folder")
    return Path(plans) if plans else None, Path(kept) if kept else None
