"""One judgement without pytest, from what is asked to the report on disk."""

from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec

from kernelgate.judging.machine import keep_hypothesis_out, load_profile, meet_machine
from kernelgate.judging.options import REPORT_DIR, Ask, AskedError, make_request
from kernelgate.judging.watch import Silent, Watch
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import NO_GPU, GpuError, visible_gpus
from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.declaration.operation import Algorithm
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import ORDER, Request
from kernelgate.reporting.report import Report, make_report
from kernelgate.reporting.report_files import prepare_folder, write_report
from kernelgate.settings import PROJECT_FILE, Stage, find_project, load_settings
from kernelgate.verdict import Rule


class Asked(TypedDict, total=False):
    """What may be asked of a judgement; each key is an option of `kernelgate judge`, which says more.

    `measure` asks for the speed, or forbids it; left out, a GPU at hand is used. `profile` says how much is
    drawn: `ci`, `default` or `nightly`. `project` is a folder whose pyproject.toml has `[tool.kernelgate]`;
    left out, it is looked for from the working directory upwards.
    """

    operation: str
    problem: str | Path
    math: Math
    against: str | Path
    stage: Stage
    algorithm: Algorithm
    rule: Rule
    report_dir: str | Path
    code_path: str
    plans: str | Path
    keep_plans: str | Path
    replay: str
    measure: bool
    profile: str
    project: str | Path


def judge(candidate: str | Path, **asked: Unpack[Asked]) -> Report:
    """Return the verdict on a kernel file, with all that was seen; the pages lie in `report_dir`.

    Raises KernelgateError, ValueError or OSError if what is asked for cannot be judged, and TypeError for a
    key that Asked lacks. Whatever the kernel file does is a verdict, never an error.
    """
    options, project = read_asked(asked, "judge")
    ask = (options | {"candidate": str(candidate)}).get
    return run_gate(open_gate(ask, project, Silent()), Silent())


def read_asked(asked: Asked, caller: str) -> tuple[dict[str, Any], Path | None]:
    """Return the options by their names, and the project that holds; raises TypeError for an unknown key."""
    if unknown := asked.keys() - Asked.__annotations__.keys():
        raise TypeError(
            f"{caller}() has no {', '.join(sorted(unknown))}; known: {', '.join(Asked.__annotations__)}"
        )
    answers = {name: str(value) if isinstance(value, Path) else value for name, value in asked.items()}
    project = Path(asked["project"]) if "project" in asked else find_project(Path.cwd())
    return answers | {"accepted": answers.get("against")}, project


def open_gate(ask: Ask, project: Path | None, watch: Watch) -> Gate:
    """Return the gate that judges what the options ask for, with a folder for its report.

    Raises as `judge` does; nothing has run yet.
    """
    gate = make_gate(ask, project, watch)
    asked = gate.request.report_dir
    folder = prepare_folder(asked, is_default=asked == Path(REPORT_DIR))
    gate.request = msgspec.structs.replace(gate.request, report_dir=folder)
    return gate


def make_gate(
    ask: Ask,
    project: Path | None,
    watch: Watch,
    *,
    visible: tuple[str, ...] | None = None,
    to_beat: KernelFile | None = None,
) -> Gate:
    """Return the gate that judges what the options ask for; nothing is written. Raises as `judge` does.

    `visible` are the GPUs of whoever judges, left out those of this process. `to_beat` is the kernel to beat,
    where it has been read already.
    """
    settings = load_settings(project / PROJECT_FILE if project else None)
    if (profile := ask("profile")) not in (None, *settings.correctness.profiles):
        known = ", ".join(settings.correctness.profiles)
        raise AskedError(f"--profile {profile}: unknown; known: {known}")
    for option in ("candidate", "problem"):
        if (file := ask(option)) and not Path(file).is_file():
            kind = "kernel" if option == "candidate" else option
            raise AskedError(f"{file}: is no {kind} file, or is not there")
    measure, gpus = ask("measure"), visible_gpus() if visible is None else visible
    if measure and not gpus:
        raise GpuError(NO_GPU)
    request = make_request(ask, project, settings, measure=bool(gpus) if measure is None else measure)
    request = msgspec.structs.replace(request, to_beat=to_beat)

    def meet(asked: Request) -> Request:
        keep_hypothesis_out()
        load_profile(settings.correctness, profile)
        return meet_machine(asked, gpus)

    return Gate(request, settings, watch.note, meet)


def run_gate(gate: Gate, watch: Watch) -> Report:
    """Return the report of a gate whose stages are run here; it is written however they end.

    Raises AskedError if the machine cannot do what is asked for, and whatever is an error of the gate's own.
    """
    try:
        for name in ORDER if gate.request.measure else ORDER[:-1]:
            watch.ended(name, gate.stage(name))
        gate.keep_book()
    finally:
        watch.stop()
        gate.close()
        report = make_report(gate)
        write_report(report, gate.request.report_dir)
    return report
