"""What the judge takes from a worker for an answer: files of the right size, places in order, no more."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate import protocol
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.use_calls import UseCaller
from kernelgate.correctness.calls import Call, Run, draw_poison
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.made_up_plans import make_plan
from tests.selftest.support.small_convolution import resize

SMALL = resize(in_size=15, out_channels=4)
BATCH, AN_IMAGE = 3, 4 * 3 * 3
TOTAL = BATCH * AN_IMAGE
RAN = protocol.Ran(returned="Tensor", shape=SMALL.output_shape(BATCH), dtype="torch.float32", device="cuda:0")
CALL = Call(recipe=Recipe(family="normal", seed=6, batch=BATCH), pin=2, layout="offset")
WHOLE = np.arange(TOTAL, dtype=np.uint32)

Write = Callable[[Path, Path], None]


class PretendedWorker:
    """Says that it ran, and leaves what the test writes."""

    def __init__(
        self, folder: Path, ran: protocol.Ran, sent: protocol.Sent, write: Write, forks: bool
    ) -> None:
        self.folder, self.ran, self.sent, self.write, self.forks = folder, ran, sent, write, forks
        self.asked: list[Any] = []
        self.timeouts_s: list[float] = []
        self.closed = False

    def send(self, request: Any) -> None:
        self.asked.append(request)

    def receive(self, _answer: Any, timeout_s: float) -> Any:
        self.timeouts_s.append(timeout_s)
        return self.ran

    def ask(self, request: Any, _answer: Any, timeout_s: float) -> Any:
        self.asked.append(request)
        self.timeouts_s.append(timeout_s)
        self.write(Path(request.out), Path(request.places))
        return self.sent

    def has_descendants(self) -> bool:
        return self.forks

    def close(self) -> None:
        self.closed = True


def write_words(values: np.ndarray, places: np.ndarray | None = None) -> Write:
    def write(out: Path, where: Path) -> None:
        out.write_bytes(values.astype(np.uint32).tobytes())
        if places is not None:
            where.write_bytes(places.tobytes())

    return write


class PretendedWorkers:
    """Runs calls against workers that the test describes; `started` are those that were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[PretendedWorker] = []
        self.planned: list[Call] = []
        self.refused: set[int | None] = set()
        self.write_used: Write | None = None
        self.ran, self.sent, self.write = RAN, protocol.Sent(count=TOTAL, whole=True), write_words(WHOLE)
        self.forks = False

    def caller(self, *, on_gpu: bool = False) -> PlanCaller:
        """Return a caller whose workers are pretended, as are the plans."""
        kernel = KernelFile(path="k.py", sha256="0" * 64, source="")
        sandbox: Any = SimpleNamespace(
            operation=SMALL,
            limits=SimpleNamespace(run_timeout_s=1.0, whole_run_factor=3),
            start=self._start,
            start_executor=self._start_executor,
            await_loaded=lambda _: None,
        )
        planner: Any = SimpleNamespace(sandbox=sandbox, kernel=kernel, plan=self._plan)
        return PlanCaller(planner, "7" if on_gpu else "")

    def user(self, *pins: int) -> UseCaller:
        """Return a caller of the file itself, whose plans have these configurations."""
        return UseCaller(self.caller(on_gpu=True), pins)

    def _plan(self, call: Call) -> StoredPlan:
        self.planned.append(call)
        if call.pin in self.refused:
            raise WorkerFault(FaultKind.UNTRIED, "not for this call")
        return StoredPlan(plan=make_plan(), sha256="a" * 64, contents=self.folder)

    def _start(self, mode: str, kernel: KernelFile, gpu: str) -> PretendedWorker:
        assert (mode, kernel.path, gpu) == ("use", "k.py", "7")
        write = self.write_used or self.write
        return self._note(PretendedWorker(self.folder, self.ran, self.sent, write, self.forks))

    def _start_executor(self, mode: str, gpu: str) -> PretendedWorker:
        assert (mode, gpu) in (("execute", "7"), ("interpret", ""))
        return self._note(PretendedWorker(self.folder, self.ran, self.sent, self.write, forks=False))

    def _note(self, worker: PretendedWorker) -> PretendedWorker:
        self.started.append(worker)
        return worker

    def run_sample(self, places: Any, count: int | None = None, *, on_gpu: bool = False) -> Run:
        """Return what becomes of a sample at these places."""
        offsets = np.array(places, dtype=np.int64)
        self.sent = protocol.Sent(count=offsets.size if count is None else count, whole=False)
        self.write = write_words(np.arange(offsets.size), offsets)
        return self.caller(on_gpu=on_gpu).run(CALL)


@pytest.fixture
def workers(tmp_path: Path) -> PretendedWorkers:
    return PretendedWorkers(tmp_path)


def test_a_whole_answer_arrives_in_order(workers: PretendedWorkers) -> None:
    """Every bit of it, at every place."""
    run = workers.caller().run(CALL)
    assert run.bits is not None
    assert run.bits.tolist() == WHOLE.tolist()
    assert run.offsets == range(TOTAL)
    assert (run.call, run.ran) == (CALL, RAN)


@pytest.mark.parametrize("is_users", [False, True])
def test_other_work_is_done_while_the_worker_runs(workers: PretendedWorkers, is_users: bool) -> None:
    """After it was asked, before it is waited for; the calls of the plans beside a user's have none."""
    seen: list[tuple[int, int]] = []

    def meanwhile() -> None:
        (worker,) = workers.started
        seen.append((len(worker.asked), len(worker.timeouts_s)))

    caller = workers.user(0) if is_users else workers.caller(on_gpu=True)
    caller.run(CALL, meanwhile)
    assert seen == [(1, 0)]


def test_work_that_fails_meanwhile_ends_the_worker(workers: PretendedWorkers) -> None:
    """Its answer would be taken for the next one."""

    def fail() -> None:
        raise ValueError("no memory for the truth")

    caller = workers.caller(on_gpu=True)
    with pytest.raises(ValueError, match="no memory"):
        caller.run(CALL, fail)
    assert [worker.closed for worker in workers.started] == [True]
    caller.run(CALL)
    assert len(workers.started) == 2


def test_chosen_images_arrive_at_their_places(workers: PretendedWorkers) -> None:
    """The first and the last of three."""
    workers.write = write_words(np.arange(2 * AN_IMAGE))
    run = workers.caller(on_gpu=True).run(msgspec.structs.replace(CALL, items=(0, 2)))
    assert run.offsets is not None
    assert list(run.offsets) == [*range(AN_IMAGE), *range(2 * AN_IMAGE, 3 * AN_IMAGE)]


ASKED = msgspec.structs.replace(
    CALL, model=1, same_storage=True, programs=4, sampled=("conv",), number=2, way=Way.EVAL
)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_worker_is_asked_for_what_the_call_says(workers: PretendedWorkers, on_gpu: bool) -> None:
    """And where to leave its answer: in a folder of its own."""
    workers.caller(on_gpu=on_gpu).run(ASKED)
    run, send = workers.started[0].asked
    for field in ("recipe", "layout", "programs", "sampled"):
        assert getattr(run, field) == getattr(ASKED, field)
    assert run.poison_bits == draw_poison(6 + 2)
    assert Path(send.out).parent == Path(send.places).parent == workers.folder


def test_a_user_is_asked_for_what_the_call_says(workers: PretendedWorkers) -> None:
    """Which configuration it takes is the file's own choice."""
    workers.user(0).run(ASKED)
    use, _ = workers.started[0].asked
    for field in ("recipe", "layout", "model", "same_storage", "way"):
        assert getattr(use, field) == getattr(ASKED, field)


def other_bits(out: Path, _places: Path) -> None:
    out.write_bytes((WHOLE + 1).astype(np.uint32).tobytes())


def test_a_file_answers_as_one_of_its_configurations_does(workers: PretendedWorkers) -> None:
    """The one that it was seen to take is asked first the next time; one that is refused is passed over."""
    workers.refused = {4}
    user = workers.user(4, 2, 9)
    assert [user.run(CALL).as_planned for _ in range(2)] == [True, True]
    assert [call.pin for call in workers.planned] == [4, 2, 2]


def test_a_file_that_answers_as_none_of_them_is_seen(workers: PretendedWorkers) -> None:
    """Whatever it returned instead; each configuration was asked."""
    workers.write_used = other_bits
    run = workers.user(0, 1).run(CALL)
    assert run.as_planned is False
    assert [call.pin for call in workers.planned] == [0, 1]
    workers.write_used, workers.ran = None, msgspec.structs.replace(RAN, returned="tuple")
    assert workers.user(0).run(CALL).as_planned is False


@pytest.mark.parametrize(
    "ran",
    [{"returned": "tuple"}, {"dtype": "torch.float16"}, {"shape": (*SMALL.output_shape(BATCH)[:3], 4)}],
    ids=str,
)
def test_what_is_no_such_tensor_is_not_fetched(workers: PretendedWorkers, ran: dict[str, Any]) -> None:
    """There is nothing to compare; what it was instead is kept."""
    workers.ran = msgspec.structs.replace(RAN, **ran)
    run = workers.user().run(CALL)
    assert (run.bits, run.offsets) == (None, None)
    assert run.ran == workers.ran
    assert len(workers.started[0].asked) == 1


@pytest.mark.parametrize("places", [[0], [0, 5, TOTAL - 1], list(range(TOTAL))], ids=len)
def test_a_sample_arrives_at_its_places(workers: PretendedWorkers, places: list[int]) -> None:
    """In order, each once."""
    run = workers.run_sample(places)
    assert run.bits is not None
    assert run.offsets is not None
    assert list(run.offsets) == places
    assert run.bits.tolist() == list(range(len(places)))


@pytest.mark.parametrize(
    "places",
    [
        [0, 0],
        [0, 7, 5],
        [-1, 3],
        [0, TOTAL],
        [0, 2**63 - 1, -(2**63), -1, 10],
        [5, -(2**63), 7],
    ],
    ids=str,
)
def test_places_that_are_none_of_the_answer_are_not_taken(
    workers: PretendedWorkers, places: list[int]
) -> None:
    """Twice the same, out of order or outside it: nothing of that answer is believed."""
    run = workers.run_sample(places)
    assert run.bits is None or run.offsets is None


def test_a_sample_may_have_written_nothing(workers: PretendedWorkers) -> None:
    """That arrives too, and is a finding of its own."""
    run = workers.run_sample([])
    assert run.bits is not None
    assert run.offsets is not None
    assert (run.bits.size, len(run.offsets)) == (0, 0)


@pytest.mark.parametrize("count", [2, 4, TOTAL + 1, 2**62])
def test_a_count_that_is_not_that_of_the_files_is_not_taken(workers: PretendedWorkers, count: int) -> None:
    """Neither fewer nor more, however many it says."""
    run = workers.run_sample([0, 1, 2], count)
    assert run.bits is None or run.offsets is None


def test_on_a_gpu_a_part_is_not_taken_for_the_answer(workers: PretendedWorkers) -> None:
    """There every program runs, and what is asked for is all there is."""
    assert workers.run_sample([0, 1, 2], on_gpu=True).bits is None


@pytest.mark.parametrize("size", [0, TOTAL - 1, TOTAL + 1])
def test_a_whole_answer_of_another_size_is_not_taken(workers: PretendedWorkers, size: int) -> None:
    """Not even its beginning."""
    workers.write = write_words(np.arange(size))
    assert workers.caller().run(CALL).bits is None


def leave_link(out: Path, _places: Path) -> None:
    (out.parent / "target").write_bytes(WHOLE.tobytes())
    out.symlink_to(out.parent / "target")


def leave_folder(out: Path, _places: Path) -> None:
    out.mkdir()


def leave_nothing(_out: Path, _places: Path) -> None:
    pass


@pytest.mark.parametrize("write", [leave_link, leave_folder, leave_nothing], ids=lambda write: write.__name__)
def test_a_file_that_is_none_is_a_fault_of_the_worker(workers: PretendedWorkers, write: Write) -> None:
    """A link may lead anywhere. The worker is ended, and the next call is made of another."""
    workers.write = write
    caller = workers.caller(on_gpu=True)
    with pytest.raises(WorkerFault) as caught:
        caller.run(CALL)
    assert caught.value.kind == "protocol"
    assert workers.started[0].closed
    shutil.rmtree(workers.folder)
    workers.folder.mkdir()
    workers.write = write_words(WHOLE)
    assert caller.run(CALL).bits is not None
    assert len(workers.started) == 2


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(workers: PretendedWorkers) -> None:
    """It would block for ever; there is no answer in it."""
    workers.write = lambda out, _: os.mkfifo(out)
    assert workers.caller().run(CALL).bits is None


def test_a_worker_serves_until_it_is_told_to_end(workers: PretendedWorkers) -> None:
    """Starting one takes seconds; what it remembers is tried, too."""
    caller = workers.caller()
    caller.run(CALL)
    caller.run(CALL)
    assert len(workers.started) == 1
    caller.close()
    caller.close()
    assert workers.started[0].closed
    caller.run(CALL)
    assert len(workers.started) == 2


@pytest.mark.parametrize("forks", [False, True])
def test_a_process_that_is_left_running_is_seen(workers: PretendedWorkers, forks: bool) -> None:
    """From outside, whatever the worker says of itself."""
    workers.forks = forks
    assert workers.user(0).run(CALL).left_running is forks


def test_poison_is_a_nan_an_infinity_or_a_plausible_value_in_turn() -> None:
    """No kind can be waited for; the same seed gives the same, so that a replay meets it again."""
    words = np.array([draw_poison(seed) for seed in range(30)], dtype=np.uint32)
    values = words.view(np.float32)
    assert np.isnan(values[::3]).all()
    assert np.isinf(values[1::3]).all()
    assert (np.isfinite(values[2::3]) & (np.abs(values[2::3]) < 100)).all()
    assert len(set(words[::3])) > 5
    assert 0x7FC00000 not in words
    assert [draw_poison(seed) for seed in range(30)] == words.tolist()


@pytest.mark.parametrize(("on_gpu", "programs", "seconds"), [(False, 0, 3), (False, 2, 1), (True, 0, 1)])
def test_interpreting_every_program_may_take_longer(
    workers: PretendedWorkers, on_gpu: bool, programs: int, seconds: float
) -> None:
    """By the factor of the settings, and nothing else may."""
    workers.caller(on_gpu=on_gpu).run(msgspec.structs.replace(CALL, programs=programs))
    assert workers.started[0].timeouts_s[0] == seconds
