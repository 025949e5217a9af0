"""Whether a file does the same however it is called: each way of calling must give the same launch plan.

A file that asks whether it is in training, whether gradients are on, how often it was called or how many
classes it has, and then launches something else, is right where it is judged and wrong where it is used.
"""

import msgspec

from kernelgate.compilation.recording import PlannedCall, Recorded, record
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.plan_compare import compare
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker

FORMS = {
    "in eval mode": CallForm(training=False),
    "with gradients on": CallForm(gradients=True),
    "at a second call": CallForm(call=1),
    "at a twentieth call": CallForm(call=19),
    "with num_classes=10": CallForm(classes=10),
}
"""The ways of calling a model that leave the answer as it is."""


def try_forms(sandbox: Sandbox, worker: Worker, call: PlannedCall, plain: Recorded) -> tuple[str, str] | None:
    """Return reason and detail if a form of the call does not do what the plain one does."""
    if plain.stored is None:
        return None
    for says, form in FORMS.items():
        recorded = record(sandbox, worker, msgspec.structs.replace(call, form=form))
        if recorded.broken is not None:
            reason, detail = recorded.broken
            return reason, f"{says}: {detail}"
        if recorded.stored is None:
            return "calls-differ", f"{says} the call cannot be made: {recorded.refused}"
        if different := compare(plain.stored.plan, recorded.stored.plan).difference:
            return "calls-differ", f"{says} the file does not do what it does in a plain call: {different}"
    return None
