"""The options of a judgement, for pytest and the command line alike, and what they ask to be judged."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from kernelgate.errors import KernelgateError
from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.declaration.operation import Algorithm
from kernelgate.settings import PROJECT_FILE, Settings, Stage
from kernelgate.verdict import Rule

if TYPE_CHECKING:
    from kernelgate.correctness.case import Case
    from kernelgate.machine.gpu import Gpu
    from kernelgate.pipeline.stage import Request

CODE_PATH = "sm_89"
REPORT_DIR = "gate-report"
CANNOT_JUDGE = 2
"""The exit code where nothing could be judged, as argparse ends for an option that it does not know."""

CHOICES: dict[str, tuple[str, ...]] = {
    "math": get_args(Math),
    "stage": get_args(Stage),
    "algorithm": get_args(Algorithm),
    "rule": tuple(Rule),
    "code_path": (CODE_PATH,),
}
"""What an option may be, whoever gives it."""

Ask = Callable[[str], Any]
"""Gives what was asked for by the name of an option, as `report_dir`; None where it was left out."""


class AskedError(KernelgateError, ValueError):
    """What is asked for cannot be judged, or not in this way; the text names the option."""


def add_options(add: Callable[..., Any]) -> None:
    """Add all options but the candidate by `add`: argparse's `add_argument`, or pytest's `addoption`."""
    add_computed(add)
    add(
        "--accepted",
        "--against",
        metavar="FILE|REV",
        help="kernel to beat: a file or a git revision; default: HEAD, outside of a project PyTorch",
    )
    add("--stage", choices=CHOICES["stage"], help="what may change; default: what [tool.kernelgate] says")
    add(
        "--algorithm",
        choices=CHOICES["algorithm"],
        default="direct",
        help="whose laws hold: the direct one's, or, in stage open, those of any; default: %(default)s",
    )
    add(
        "--rule",
        choices=CHOICES["rule"],
        help="what to prove: tune, a gain; guard, no loss (default for the accepted kernel)",
    )
    _add_outputs(add)


def _add_outputs(add: Callable[..., Any]) -> None:
    """Add the options that say where things go, and what a run is that decides nothing."""
    add("--report-dir", metavar="DIR", default=REPORT_DIR, help="where reports go; default: %(default)s")
    add(
        "--code-path",
        choices=CHOICES["code_path"],
        help="have the GPU run the PTX of an RTX 4090, assembled for it; decides nothing about speed",
    )
    add("--plans", metavar="DIR", help="judge by this plan book; the kernel file is not run")
    add("--keep-plans", metavar="DIR", help="write a plan book of a kernel that passes into this new folder")
    add("--replay", metavar="CASE", help="judge this one correctness case, as a report names it")


def add_computed(add: Callable[..., Any]) -> None:
    """Add the options that say what a kernel file computes."""
    add("--operation", metavar="NAME", help="what it computes; default: what the file's name begins with")
    add(
        "--problem",
        metavar="FILE",
        help="what it computes, as a file in KernelBench's form; the file is trusted: the judge imports it",
    )
    add(
        "--math",
        choices=CHOICES["math"],
        help="least precise arithmetic of a problem; default: tf32 where it calls products, else float32",
    )


def known_names(project: Path | None, settings: Settings) -> tuple[str, ...]:
    """Return what a kernel file may compute: a project's problems, and all operations."""
    from kernelgate.operations import OPERATIONS

    return (*(settings.problems if project else ()), *OPERATIONS)


def make_request(ask: Ask, project: Path | None, settings: Settings, *, measure: bool) -> "Request":
    """Return what the options ask to be judged in a project, or in none; no GPU yet. Raises AskedError."""
    from kernelgate.pipeline.stage import Request

    for option, allowed in CHOICES.items():
        _require_choice(option, ask(option), allowed)
    name, problem = read_computed(ask, project, settings)
    root = _find_home(project)
    candidate = _read_candidate(ask, root, name)
    has_original = problem is None and root is not None and _keeps_originals(root)
    stage = ask("stage") or (settings.stage_of(candidate) if has_original else "open")
    if stage != "open" and not has_original:
        raise AskedError(f"--stage {stage}: there is no original to stay near; judge by stage open")
    rule, (plans, keep_plans) = ask("rule"), _read_book_options(ask)
    if problem and (plans or keep_plans):
        raise AskedError("--plans, --keep-plans: a problem has no plan book")
    return Request(
        root=root,
        candidate=candidate,
        operation=f"problem-{problem.stem}" if problem else name,
        accepted=ask("accepted"),
        stage=stage,
        rule=Rule(rule) if rule else None,
        report_dir=Path(ask("report_dir") or REPORT_DIR),
        gpu=None,
        measure=measure,
        replay=_read_replay(ask("replay")),
        ada_path=bool(ask("code_path")),
        plans=plans,
        keep_plans=keep_plans,
        algorithm=_read_algorithm(ask, stage),
        problem=problem,
        accepted_name=None if has_original or ask("problem") else name,
        math=ask("math"),
    )


def read_computed(ask: Ask, project: Path | None, settings: Settings) -> tuple[str, Path | None]:
    """Return the name of what a candidate computes, and its problem file if it is one. Raises AskedError."""
    name = _read_name(ask, project, settings)
    return name, _read_problem(ask, project, settings, name)


def _require_choice(option: str, given: Any, allowed: tuple[str, ...]) -> None:
    if given not in (None, *allowed):
        raise AskedError(f"--{option.replace('_', '-')} {given}: unknown; known: {', '.join(allowed)}")


def _read_replay(text: str | None) -> "Case | None":
    """Return the case of a text, None for none."""
    from kernelgate.correctness.case import parse_case

    if not text:
        return None
    try:
        return parse_case(text)
    except ValueError as error:
        raise AskedError(
            f"--replay: {error}. A report names one, as batch=3,family=normal,seed=0,..."
        ) from error


def _find_home(project: Path | None) -> Path | None:
    """Return the project if it keeps kernels; one that only has settings is none to hold a kernel against."""
    return project if project is not None and (project / "kernels").is_dir() else None


def _keeps_originals(root: Path) -> bool:
    """Return whether the project's operations have originals, and records; else it only has kernels."""
    return any((root / "kernels").glob("*_original.py"))


def _read_name(ask: Ask, project: Path | None, settings: Settings) -> str:
    """Return what is computed: as it was said, as the kernel file is called, or as the project says."""
    from kernelgate.operations import name_of

    known, asked = known_names(project, settings), ask("operation")
    _require_choice("operation", asked, known)
    candidate = Path(ask("candidate") or "")
    name = asked or name_of(candidate.stem, known)
    has_default = project is not None and (project / "kernels" / f"{settings.operation}.py").is_file()
    if name is None and not has_default and not ask("problem"):
        if not ask("candidate"):
            raise AskedError("--candidate: which kernel file? Name one, as --candidate kernels/NAME.py")
        raise AskedError(
            f"what does {candidate.name} compute? Give --operation NAME or --problem FILE, or call the file "
            f"after it, as softmax.py or softmax_tiled.py. Known: {', '.join(known)}"
        )
    return name or settings.operation


def _read_candidate(ask: Ask, root: Path | None, name: str) -> Path:
    """Return the file to judge: by default the accepted kernel, which only a project has."""
    candidate = ask("candidate")
    if not candidate:
        if root is None:
            raise AskedError("--candidate: which file? No folder kernels/ holds an accepted one")
        candidate = os.path.relpath(root / "kernels" / f"{name}.py")
    if not str(candidate).isprintable():
        raise AskedError(f"--candidate {str(candidate)!a}: the name must be printable text")
    return Path(candidate)


def _read_problem(ask: Ask, project: Path | None, settings: Settings, name: str) -> Path | None:
    """Return the problem file: the one given, or the project's of that name."""
    problem = ask("problem")
    if not problem:
        if project is not None and name in settings.problems:
            return _require_problem(project, name, settings.problems[name])
        if ask("math"):
            raise AskedError("--math: needs --problem; an operation declares its own")
        return None
    if ask("operation"):
        raise AskedError("--problem: not with --operation")
    if not ask("candidate"):
        raise AskedError("--problem: needs --candidate FILE: a problem has no accepted kernel")
    return Path(problem)


def _require_problem(project: Path, name: str, path: str) -> Path:
    file = project / path
    if not file.is_file():
        raise AskedError(f"{project / PROJECT_FILE}: [tool.kernelgate.problems] {name}: {path} is no file")
    return file


def _read_algorithm(ask: Ask, stage: str) -> Algorithm:
    algorithm: Algorithm = ask("algorithm") or "direct"
    if algorithm == "any" and stage != "open":
        raise AskedError(f"--algorithm any: needs --stage open, not {stage}, which keeps the algorithm")
    return algorithm


def _read_book_options(ask: Ask) -> tuple[Path | None, Path | None]:
    """Return the plan book to judge by, and where to write one."""
    plans, kept = ask("plans"), ask("keep_plans")
    if plans and ask("code_path"):
        raise AskedError("--plans: a plan book holds each GPU's own code, not --code-path's")
    if kept and (plans or ask("replay")):
        raise AskedError("--keep-plans: only a judgement of the file itself, of every case, keeps its plans")
    if kept and Path(kept).exists():
        raise AskedError(f"--keep-plans {kept}: exists already; name a new folder")
    return Path(plans) if plans else None, Path(kept) if kept else None


def refuse_code_path(request: "Request", gpu: "Gpu | None") -> None:
    """Raise AskedError if the GPU cannot run an RTX 4090's code as another GPU's."""
    from kernelgate.compilation.stage import ADA

    if request.ada_path and (gpu is None or gpu.capability <= ADA):
        at_hand = f"{gpu.name} is sm_{gpu.capability}" if gpu else "there is none"
        raise AskedError(f"--code-path sm_{ADA}: needs a GPU newer than sm_{ADA}: {at_hand}")
