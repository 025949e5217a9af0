"""A file must do the same however it is called: what differs in one way of calling is found in its plan."""

import pytest

from kernelgate.compilation.forms import FORMS, try_forms
from kernelgate.compilation.recording import PlannedCall, record
from kernelgate.execution.cards import ADA
from tests.selftest.support.recorders import Start
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES, changed

FORWARD = "    def forward(self, x):\n"
MADE = "    def __init__(self):\n        super().__init__()\n"
COUNTED = f"{MADE}        self.calls = 0\n"
STEP = "fill[grid](x, conv1.weight, out, 3, "


def only_if(condition: str) -> str:
    """Return the source of a file that launches otherwise where the condition holds."""
    return changed(STEP, f"fill[grid](x, conv1.weight, out, 5 if {condition} else 3, ")


def counting(condition: str) -> str:
    counted = changed(FORWARD, f"{FORWARD}        self.calls += 1\n", only_if(condition))
    return changed(MADE, COUNTED, counted)


CLASSES = MADE.replace("(self)", "(self, num_classes=1000)") + "        self.classes = num_classes\n"
WITH_CLASSES = changed(MADE, CLASSES, only_if("self.classes == 10"))
SOURCES = {
    "in eval mode": only_if("not self.training"),
    "with gradients on": only_if("torch.is_grad_enabled()"),
    "at a second call": counting("self.calls == 2"),
    "at a twentieth call": counting("self.calls == 20"),
    "with num_classes=10": WITH_CLASSES,
}


def tried(start_one: Start, source: str) -> tuple[str, str] | None:
    sandbox, worker = start_one(source)
    call = PlannedCall(batch=256, pin=0, card=ADA)
    return try_forms(sandbox, worker, call, record(sandbox, worker, call))


def test_every_form_has_a_source_that_breaks_it() -> None:
    """A form that is added gets one too."""
    assert SOURCES.keys() == FORMS.keys()


@pytest.mark.parametrize("says", SOURCES)
def test_what_is_launched_otherwise_is_found_and_named(start: Start, says: str) -> None:
    """The first form that differs is the one that the file asks for."""
    found = tried(start, SOURCES[says])
    assert found is not None
    assert found[0] == "calls-differ"
    assert found[1].startswith(says)


@pytest.mark.parametrize("source", [TWO_LAUNCHES, LOOP], ids=["two-launches", "autotuned"])
def test_a_file_that_does_the_same_passes(start: Start, source: str) -> None:
    """Also one whose model takes no number of classes."""
    assert tried(start, source) is None


PRUNED = (
    LOOP.replace(
        "    key=[],\n",
        '    key=["N"],\n    prune_configs_by={"early_config_prune": lambda configs, named, **_: '
        "configs[:1] if named['N'] < 4 else configs},\n",
    )
    .replace("def multiply(x_ptr, out_ptr, K", "def multiply(x_ptr, out_ptr, N, K")
    .replace("multiply[(1,)](x, out, K", "multiply[(1,)](x, out, x.shape[0], K")
)


@pytest.mark.parametrize(("batch", "pin", "is_offered"), [(3, 0, True), (3, 1, False), (4, 1, True)])
def test_a_configuration_that_the_autotuner_keeps_from_a_call_is_refused(
    start: Start,
    batch: int,
    pin: int,
    is_offered: bool,
) -> None:
    """By the file's own rules nobody would run it there; the next request finds the worker well."""
    sandbox, worker = start(PRUNED)
    recorded = record(sandbox, worker, PlannedCall(batch=batch, pin=pin, card=ADA))
    assert (recorded.stored is not None) == is_offered
    assert ("prune_configs_by leaves it out" in recorded.refused) == (not is_offered)
    assert record(sandbox, worker, PlannedCall(batch=4, pin=0, card=ADA)).stored is not None


def test_a_file_is_imported_under_its_own_name(start: Start) -> None:
    """What it is called tells it nothing of the gate."""
    source = f"{TWO_LAUNCHES}\nassert __name__ == 'kernel', __name__\n"
    sandbox, worker = start(source)
    assert record(sandbox, worker, PlannedCall(batch=1, pin=0, card=ADA)).stored is not None
