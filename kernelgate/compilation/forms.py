"""Whether a file does the same however it is called: each way of calling must give the same launch plan.

A file that asks whether it is in training, whether gradients are on, how often it was called or how many
classes it has, and then launches something else, is right where it is judged and wrong where it is used. So
is one that keeps what it made of an input that has changed since.
"""

from contextlib import closing

import msgspec

from kernelgate.compilation.compare_calls import compare_calls
from kernelgate.compilation.recorders import LiveRecorder, Recorder
from kernelgate.compilation.recording import PlannedCall, Recorded
from kernelgate.execution.launch_plan import CallForm
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.declaration.operation import Operation
from kernelgate.sandbox.sandbox import Sandbox

OTHER_TIMES_S = (*(turn * 97_627 for turn in range(1, 9)), 200 * 86_400)
"""Of an import: each time 27 hours and some minutes later, so every third hour and every day of a week."""


def list_forms(operation: Operation) -> dict[str, CallForm]:
    """Return the ways of calling a model that leave the answer as it is, but for what its tensors hold."""
    first = operation.inputs[0].name
    forms = {
        "in another model": CallForm(),
        **({"in eval mode": CallForm(training=False)} if operation.same_in_eval else {}),
        "with gradients on": CallForm(gradients=True),
        "on inputs that ask for their gradient": CallForm(gradients=True, within="gradient-of-inputs"),
        "in inference mode": CallForm(within="inference"),
        "under autocast": CallForm(within="autocast"),
        "in another thread": CallForm(within="thread"),
        "with a hook registered": CallForm(within="hook"),
        "at a second call": CallForm(call=1),
        "at a twentieth call": CallForm(call=19),
        "with num_classes=10": CallForm(classes=10),
        **({"after a call on another batch": CallForm(changed="batch")} if operation.max_batch > 2 else {}),
        "after a call of another model": CallForm(call=1, changed="model"),
        **{
            f"after {each.name} was written in place": CallForm(call=1, changed=each.name)
            for each in operation.inputs
        },
        f"after a transposed {first} was written in place": CallForm(
            call=1, changed=first, layout="transposed"
        ),
    }
    for each in operation.parameters:
        forms |= _list_forms_of(each.name, in_eval=operation.same_in_eval)
    return forms


def _list_forms_of(name: str, *, in_eval: bool) -> dict[str, CallForm]:
    """Return the ways in which a parameter has changed: in any mode a file may keep what it made of it."""
    written = f"after the {name} was written in place"
    return {
        written: CallForm(call=1, changed=name),
        f"{written} twice": CallForm(call=2, changed=name),
        **({f"{written}, in eval mode": CallForm(call=1, changed=name, training=False)} if in_eval else {}),
        f"{written}, with gradients on": CallForm(call=1, changed=name, gradients=True),
        f"{written}, in inference mode": CallForm(call=1, changed=name, within="inference"),
        f"after the {name} was given new memory": CallForm(call=1, changed=f"{name}-data"),
        f"after the {name} was replaced": CallForm(call=1, changed=f"{name}-parameter"),
    }


def try_forms(
    operation: Operation, recorder: Recorder, call: PlannedCall, plain: Recorded
) -> tuple[str, str] | None:
    """Return reason and detail if a form of the call does not do what the plain one does."""
    if plain.stored is None:
        return None
    plain_of = {call.form.layout: plain}
    for says, form in list_forms(operation).items():
        if form.layout not in plain_of:
            alike = CallForm(layout=form.layout)
            plain_of[form.layout] = recorder.record(msgspec.structs.replace(call, form=alike))
        first = plain_of[form.layout]
        if first.stored is None:
            continue  # such a call is refused or broken by itself
        recorded = recorder.record(msgspec.structs.replace(call, form=form))
        if broken := _find_difference(says, first, recorded):
            return broken
    return None


def try_imports(
    sandbox: Sandbox, kernel: KernelFile, call: PlannedCall, plain: Recorded
) -> tuple[str, str] | None:
    """Return reason and detail if a process that imports the file at another time does not do the same."""
    for later_s in OTHER_TIMES_S if plain.stored is not None else ():
        worker = sandbox.start("record", kernel, kernel.sha256, later_s=later_s)
        with closing(LiveRecorder(sandbox, worker)) as recorder:
            recorder.load()
            recorded = recorder.record(call)
        if broken := _find_difference("imported at another time", plain, recorded):
            return broken
    return None


def _find_difference(says: str, first: Recorded, recorded: Recorded) -> tuple[str, str] | None:
    if recorded.broken is not None:
        reason, detail = recorded.broken
        return reason, f"{says}: {detail}"
    if recorded.stored is None:
        return "calls-differ", f"{says} the call cannot be made: {recorded.refused}"
    if different := compare_calls(first, recorded).difference:
        return "calls-differ", f"{says} the file does other things than in a first call: {different}"
    return None
