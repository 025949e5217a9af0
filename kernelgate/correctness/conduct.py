"""The laws of how a call behaves, whatever values it returns: form, memory, delegation, intact inputs."""

from collections.abc import Iterator

import numpy as np

from kernelgate.correctness.calls import Run
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.places import listed
from kernelgate.operations.truth.truth import unravel
from kernelgate.settings import LawLimits


def check_form(operation: Operation, run: Run) -> Iterator[Broken]:
    """Yield what is wrong with the kind of thing that forward returned, before its values are looked at."""
    ran, shape = run.ran, operation.output_shape(run.call.recipe.batch)
    if ran.returned != "Tensor":
        yield Broken(law="form", detail=f"forward returned {ran.returned}, allowed a Tensor")
    elif ran.shape != shape:
        yield Broken(law="form", detail=f"the output has shape {ran.shape}, allowed {shape}")
    elif ran.dtype != f"torch.{operation.dtype}":
        detail = f"the output is {ran.dtype}, allowed torch.{operation.dtype}"
        yield Broken(law="form", detail=detail)
    elif ran.device != "cuda:0":
        yield Broken(law="form", detail=f"the output is on {ran.device}, allowed the input's device, cuda:0")
    elif not ran.contiguous:
        yield Broken(law="form", detail="the output is not contiguous, allowed row-major")


def check_arrived(run: Run) -> Iterator[Broken]:
    """Yield if the values of the output did not come."""
    if run.bits is None or run.offsets is None:
        yield Broken(law="form", detail="the output's values did not arrive whole")


def check_launched(run: Run) -> Iterator[Broken]:
    """Yield if forward launches no Triton kernel: whoever computes the answer, the kernel does not."""
    if run.as_planned is None and not run.ran.launches:
        detail = "forward launched no Triton kernel for a CUDA tensor"
        yield Broken(law="delegation", detail=detail, forbidden=True)


def check_alone(run: Run) -> Iterator[Broken]:
    """Yield if a process that the file started is still running."""
    if run.left_running:
        detail = "a process that it started is still running"
        yield Broken(law="delegation", detail=detail, forbidden=True)


def check_as_planned(run: Run) -> Iterator[Broken]:
    """Yield if the file itself answers otherwise than its launches do, in any configuration."""
    if run.as_planned is False:
        detail = f"called {run.call.way} the file answers otherwise than its launches do"
        yield Broken(law="calls-differ", detail=f"{detail}, in any of its configurations")


def check_memory(run: Run) -> Iterator[Broken]:
    """Yield if a launch read or wrote outside its tensors, or its programs wrote over each other."""
    if run.ran.memory:
        yield Broken(law="memory", detail="; ".join(run.ran.memory))


def check_inputs_intact(run: Run) -> Iterator[Broken]:
    """Yield if an input or a parameter changed by a bit."""
    if not run.ran.inputs_intact:
        yield Broken(law="inputs-intact", detail="forward changed its input or a parameter in place")


def check_earlier_intact(run: Run) -> Iterator[Broken]:
    """Yield if the call changed an answer that was given before it."""
    if not run.ran.earlier_intact:
        detail = "an answer of an earlier call changed: its memory was handed out twice"
        yield Broken(law="earlier-answers", detail=detail)


def check_all_written(operation: Operation, run: Run) -> Iterator[Broken]:
    """Yield if programs that all ran left an element of the output unwritten, or some of them left all."""
    assert run.offsets is not None
    total = int(np.prod(operation.output_shape(run.call.recipe.batch)))
    if not len(run.offsets):
        yield Broken(law="all-written", detail=f"no program that ran wrote any of {total} output elements")
    elif run.ran_whole and not run.call.items and len(run.offsets) < total:
        missing = np.setdiff1d(np.arange(total), listed(run.offsets), assume_unique=True)
        first = ",".join(str(int(axis)) for axis in unravel(operation, missing[:1], run.call.recipe.batch))
        detail = f"{missing.size} of {total} output elements were never written, the first out[{first}]"
        yield Broken(law="all-written", detail=detail)


def check_covered(operation: Operation, run: Run) -> Iterator[Broken]:
    """Yield if the stores of all programs together, where they were run, leave out an element."""
    total, covered = int(np.prod(operation.output_shape(run.call.recipe.batch))), run.ran.covered
    if covered is not None and covered < total:
        detail = f"{total - covered} of {total} output elements are written by no program of the whole grid"
        yield Broken(law="all-written", detail=detail)


def check_enough_programs(operation: Operation, run: Run, limits: LawLimits) -> Iterator[Broken]:
    """Yield if all programs cannot write the whole output, each writing as much as the busiest seen."""
    total = int(np.prod(operation.output_shape(run.call.recipe.batch)))
    sampled = run.call.sampled
    made = [each for each in run.ran.launches if sampled and (each.makes_answer or each.kernel in sampled)]
    busy = [launch.programs_total - launch.programs_idle for launch in made]
    at_most = sum(count * launch.most_written for count, launch in zip(busy, made, strict=True))
    if any(launch.thinned for launch in made):
        return  # the few that ran may all stand at an edge
    if made and at_most * limits.busiest_margin < total:
        detail = f"{sum(busy)} programs write {at_most} of {total} elements"
        yield Broken(
            law="all-written", detail=f"{detail} at most, if none writes more than the busiest that ran"
        )
