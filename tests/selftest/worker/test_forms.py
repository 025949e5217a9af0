"""A file must do the same however it is called: what differs in one way of calling is found in its plan."""

from contextlib import closing
from pathlib import Path

import pytest

from kernelgate.compilation.forms import list_forms, try_forms, try_imports
from kernelgate.compilation.recorders import LiveRecorder
from kernelgate.compilation.recording import PlannedCall, record
from kernelgate.execution.cards import ADA
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.record.surroundings import KEPT_IN_C, OF_WORKERS
from tests.selftest.support.recorders import Start, as_kernel_file
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES, changed

FORWARD = "    def forward(self, x):\n"
MADE = "    def __init__(self):\n        super().__init__()\n"
COUNTED = f"{MADE}        self.calls = 0\n"
STEP = "fill[grid](x, conv1.weight, out, 3, "


def only_if(condition: str) -> str:
    """Return the source of a file that launches otherwise where the condition holds."""
    return changed(STEP, f"fill[grid](x, conv1.weight, out, 5 if {condition} else 3, ")


def importing(module: str, condition: str) -> str:
    """Return such a file that imports a module for its condition."""
    return f"import {module}\n{only_if(condition)}"


def counting(condition: str) -> str:
    counted = changed(FORWARD, f"{FORWARD}        self.calls += 1\n", only_if(condition))
    return changed(MADE, COUNTED, counted)


def remembering(condition: str, source: str = TWO_LAUNCHES) -> str:
    """Return the source of a file whose `seen` is None in the first call, then what it saw in the last one.

    That is the batch, where x lies, the weight, where it lies and its version, and the same of the bias.
    """
    look = """
        seen, self.seen = self.seen, (
            len(x), x.data_ptr(),
            conv1.weight, conv1.weight.data_ptr(), conv1.weight._version,
            conv1.bias, conv1.bias.data_ptr(), conv1.bias._version,
        )
"""
    begun = "conv1, count = self.conv1, out.numel()\n"
    made = changed(MADE, f"{MADE}        self.seen = None\n", source)
    return changed(STEP, only(condition), changed(begun, begun + look.lstrip("\n"), made))


def only(condition: str) -> str:
    return f"fill[grid](x, conv1.weight, out, 5 if {condition} else 3, "


def differs(place: int, *others: int) -> str:
    """Return the condition that one thing that was seen is another, and the others are not."""
    same = " and ".join(f"seen[{each}] is self.seen[{each}]" for each in others)
    return f"seen and seen[{place}] != self.seen[{place}]" + (f" and {same}" if same else "")


def counting_models(condition: str) -> str:
    """Return a file whose MODELS are those that were made, whose LAST is the one called last."""
    noted = f"{MADE}        self.calls = 0\n        MODELS.append(self)\n"
    called = f"{FORWARD}        self.calls += 1\n        last, LAST[:] = LAST[:], [self]\n"
    source = changed(MADE, noted, changed(FORWARD, called, only_if(condition)))
    return changed("@triton.jit\ndef fill", "MODELS, LAST = [], []\n\n\n@triton.jit\ndef fill", source)


CLASSES = MADE.replace("(self)", "(self, num_classes=1000)") + "        self.classes = num_classes\n"
WITH_CLASSES = changed(MADE, CLASSES, only_if("self.classes == 10"))
TWICE = "self.__dict__.setdefault('first', conv1.weight._version) + 2 == conv1.weight._version"
MODES = {
    "in eval mode": "not self.training",
    "with gradients on": "torch.is_grad_enabled()",
    "in inference mode": "torch.is_inference_mode_enabled()",
}
SOURCES = {
    "in another model": counting_models("len(MODELS) > 2"),
    "after a call on another batch": remembering(differs(0)),
    "after a call of another model": counting_models("self.calls == 2 and last != [self]"),
    "after x was written in place": remembering("seen and seen[1] == self.seen[1]"),
    "after a transposed x was written in place": remembering(
        "seen and seen[1] == self.seen[1] and not x.is_contiguous()"
    ),
    "after the weight was written in place": remembering(differs(4, 2)),
    "after the weight was given new memory": remembering(differs(3, 2)),
    "after the weight was replaced": remembering("seen and seen[2] is not self.seen[2]"),
    "after the bias was written in place": remembering(differs(7, 5)),
    "after the bias was given new memory": remembering(differs(6, 5)),
    "after the bias was replaced": remembering("seen and seen[5] is not self.seen[5]"),
    **{
        f"after the {name} was written in place, {mode}": remembering(f"{differs(*of)} and {condition}")
        for name, of in {"weight": (4, 2), "bias": (7, 5)}.items()
        for mode, condition in MODES.items()
    },
    "after the weight was written in place twice": only_if(TWICE),
    "after the bias was written in place twice": only_if(TWICE.replace("weight", "bias")),
    **{mode: only_if(condition) for mode, condition in MODES.items()},
    "on inputs that ask for their gradient": only_if("x.requires_grad"),
    "under autocast": only_if("torch.is_autocast_enabled()"),
    "in another thread": importing("threading", "threading.current_thread() is not threading.main_thread()"),
    "with a hook registered": only_if("len(self._forward_hooks) > 0"),
    "at a second call": counting("self.calls == 2"),
    "at a twentieth call": counting("self.calls == 20"),
    "with num_classes=10": WITH_CLASSES,
}


def tried(start_one: Start, source: str) -> tuple[str, str] | None:
    sandbox, worker = start_one(source)
    call = PlannedCall(batch=256, pin=0, card=ADA)
    recorder = LiveRecorder(sandbox, worker)
    return try_forms(sandbox.operation, recorder, call, recorder.record(call))


def test_every_form_has_a_source_that_breaks_it() -> None:
    """A form that is added gets one too."""
    assert SOURCES.keys() == list_forms(ALEXNET_CONV1).keys()


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


KEEPS = changed(MADE, f"{MADE}        self.packed = self.of = None\n")


def keeping(condition: str) -> str:
    """Return a file that keeps a copy of the filters, and makes it anew where the condition holds."""
    made = f"""
        weight = conv1.weight
        of = (weight.data_ptr(), weight._version)
        if self.packed is None or {condition}:
            self.packed, self.of = weight.detach().clone(), of
        fill[grid](x, self.packed, out, 3, """
    return changed("        " + STEP, made.lstrip("\n"), KEEPS)


def test_a_file_may_keep_what_it_makes_of_the_parameters(start: Start) -> None:
    """As long as it makes it anew whenever they hold something else."""
    assert tried(start, keeping("of != self.of")) is None


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("False", "after the weight was written in place"),
        ("of[0] != self.of[0]", "after the weight was written in place"),
        ("of[1] != self.of[1]", "after the weight was given new memory"),
    ],
)
def test_what_is_kept_of_a_weight_that_has_changed_is_found(start: Start, condition: str, says: str) -> None:
    """Nothing else is launched; what is missing is the copy."""
    found = tried(start, keeping(condition))
    assert found is not None
    assert found[0] == "calls-differ"
    assert found[1].startswith(says)
    assert "the copy of weight, is missing or different" in found[1]


def test_a_store_that_all_models_share_is_found(start: Start) -> None:
    """What it holds is made of another model's filters."""
    shared = keeping("False").replace("self.packed", "ModelNew.packed")
    found = tried(
        start,
        changed("ModelNew.packed = self.of = None", "self.of = None", shared).replace(
            "class ModelNew(nn.Module):\n", "class ModelNew(nn.Module):\n    packed = None\n\n"
        ),
    )
    assert found is not None
    assert found[0] == "calls-differ"
    assert found[1].startswith("in another model")


@pytest.mark.parametrize("form", ["at a second call", "at a twentieth call"])
def test_memory_that_was_returned_before_is_not_returned_again(start: Start, form: str) -> None:
    """Nor a third piece of it in turn."""
    pieces = {"at a second call": 1, "at a twentieth call": 3}[form]
    made = "out = torch.empty((x.shape[0], 96, 55, 55), device=x.device)\n"
    kept = f"""self.calls += 1
        if len(self.kept) < {pieces}:
            self.kept.append(torch.empty((x.shape[0], 96, 55, 55), device=x.device))
        out = self.kept[self.calls % {pieces}]
"""
    source = changed(made, kept, changed(MADE, f"{MADE}        self.calls, self.kept = -1, []\n"))
    found = tried(start, source)
    assert found is not None
    assert found[0] == "earlier-answers"
    assert found[1].startswith(form)


PRUNED = (
    LOOP.replace(
        "    key=[],\n",
        '    key=["N"],\n    prune_configs_by={"early_config_prune": lambda configs, named, **_: '
        "configs[:1] if named['N'] < 4 else configs},\n",
    )
    .replace("def multiply(x_ptr, out_ptr, K", "def multiply(x_ptr, out_ptr, N, K")
    .replace("multiply[(1,)](x, out, K", "multiply[(1,)](x, out, x.shape[0], K")
)


def test_a_configuration_may_be_for_large_batches_alone(start: Start) -> None:
    """The call on another batch is then left out."""
    only_large = changed("configs[:1] if named['N'] < 4", "configs[1:] if named['N'] < 4", PRUNED)
    assert tried(start, only_large) is None


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


@pytest.mark.parametrize(
    ("module", "condition"),
    [
        ("time", "time.monotonic() - STARTED > 60"),
        ("time", "time.localtime().tm_hour % 2"),
        ("datetime", "datetime.datetime.now().minute % 2"),
        ("os", "'USER' in os.environ"),
        ("os", "os.getpid() % 2"),
        ("os", "os.cpu_count() % 2"),
        ("torch", "torch.get_num_threads() % 2"),
        ("torch", "torch.cuda.memory_allocated() // 2**20 % 2"),
    ],
)
def test_what_asks_for_its_surroundings_is_found(start: Start, module: str, condition: str) -> None:
    """Each call is made at another time, in another process, with and without what users have."""
    source = importing(module, condition)
    if "STARTED" in condition:
        source = source.replace("class ModelNew", "STARTED = time.monotonic()\n\n\nclass ModelNew")
    broken = tried(start, source)
    assert broken is not None
    assert broken[0] == "calls-differ"


def imported_elsewhere(start_one: Start, source: str, folder: Path) -> tuple[bool, tuple[str, str] | None]:
    """Return whether the file asks for the time, and what other times of import show."""
    sandbox, _ = start_one(source)
    call, kernel = PlannedCall(batch=256, pin=0, card=ADA), as_kernel_file(source, folder)
    with closing(LiveRecorder(sandbox, sandbox.start("record", kernel))) as recorder:
        asks_time = recorder.load().asks_time
        return asks_time, try_imports(sandbox, kernel, call, recorder.record(call))


@pytest.mark.parametrize(
    ("module", "condition"),
    [
        ("datetime", "datetime.datetime.now().hour < 5"),
        ("datetime", "datetime.date.today().weekday() == 6"),
        ("time", "time.localtime().tm_mon in (1, 2, 12)"),
        ("time", "int(time.time()) // 86_400 % 2"),
    ],
)
def test_what_hangs_on_the_time_of_import_is_found(
    start: Start, tmp_path: Path, module: str, condition: str
) -> None:
    """It stays the same as long as the process lives: other processes import the file at other times."""
    source = importing(module, "LATE").replace("class ModelNew", f"LATE = {condition}\n\n\nclass ModelNew")
    asks_time, broken = imported_elsewhere(start, source, tmp_path)
    assert asks_time
    assert broken is not None
    assert broken[0] == "calls-differ"
    assert "imported at another time" in broken[1]


@pytest.mark.parametrize(("extra", "asks"), [("", False), ("import time\nSTARTED = time.time()\n", True)])
def test_a_file_may_look_at_the_clock(start: Start, tmp_path: Path, extra: str, asks: bool) -> None:
    """Nothing that it launches hangs on it; one that does not look is not imported again."""
    assert imported_elsewhere(start, f"{extra}{TWO_LAUNCHES}", tmp_path) == (asks, None)


def test_a_file_is_imported_where_users_import_it(start: Start) -> None:
    """What the gate's own processes are given is not there to be seen, and what users have is."""
    shown = "import os\nassert 'USER' in os.environ, sorted(os.environ)\n"
    given = {*OF_WORKERS, *KEPT_IN_C}
    hidden = f"assert not {given} & {{*os.environ}}, sorted(os.environ)\n"
    sandbox, worker = start(f"{shown}{hidden}{TWO_LAUNCHES}")
    assert record(sandbox, worker, PlannedCall(batch=1, pin=0, card=ADA)).stored is not None


BENCHMARKED = """
        times = {each: triton.testing.do_bench(lambda: None, return_mode="min") for each in (3, 5)}
        fill[grid](x, conv1.weight, out, min(times, key=times.get), """


def test_host_code_may_time_its_launches(start: Start) -> None:
    """Nothing runs: all take the same time, and the first is the fastest."""
    assert tried(start, changed("        " + STEP, BENCHMARKED.lstrip("\n"))) is None


@pytest.mark.parametrize("old", ["warmup=2, rep=5", "use_cuda_graph=True", ""])
def test_an_autotuner_may_say_how_it_times(start: Start, old: str) -> None:
    """Also in the ways that Triton no longer advises."""
    source = changed("    key=[],\n", f"    key=[],\n    {old},\n" if old else "    key=[],\n", LOOP)
    sandbox, worker = start(source)
    recorded = record(sandbox, worker, PlannedCall(batch=4, pin=None, card=ADA))
    assert recorded.stored is not None, recorded.broken


@pytest.mark.parametrize("draw", ["random.random()", "numpy.random.rand()"])
def test_what_draws_a_number_is_found(start: Start, draw: str) -> None:
    """However seldom it would do something else."""
    _, worker = start(importing(draw.partition(".")[0], f"{draw} < 1e-9"))
    call = PlannedCall(batch=256, pin=0, card=ADA)
    recorded = LiveRecorder(_, worker).record(call)
    assert recorded.broken is not None
    assert "random" in recorded.broken[1]


def test_the_next_configuration_takes_the_place_of_one_that_is_not_offered(start: Start) -> None:
    """But for the compile stage, which asks for the log too: a call of users runs one that is offered."""
    sandbox, worker = start(PRUNED)
    call = PlannedCall(batch=3, pin=1, card=ADA, with_log=False)
    assert record(sandbox, worker, call).stored is not None
