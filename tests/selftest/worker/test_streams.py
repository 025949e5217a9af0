"""What works on other streams must wait for the caller's, and the caller's for it."""

from collections.abc import Callable
from typing import Any

import pytest

from kernelgate.worker.fake_cuda import streams as module
from kernelgate.worker.fake_cuda.streams import PretendedEvent, PretendedStream, StreamOrder, use_stream
from tests.selftest.support.recorders import Start
from tests.selftest.support.small_kernels import changed
from tests.selftest.worker.test_record_mode import broken

UNWAITED = "works on a stream that has not waited for the caller's"
UNFINISHED = "returns before the caller's stream has waited for the one that works"


class Call:
    """One call of a model: the caller's stream, two others, and what was found amiss."""

    def __init__(self, order: StreamOrder) -> None:
        self.order = order
        self.callers, self.side, self.other = order.current, PretendedStream(), PretendedStream()
        self.begin()

    def begin(self) -> None:
        """Begin it, or another."""
        self.order.begin_call()
        self.found: list[str] = []

    def work(self, stream: PretendedStream) -> None:
        """Launch on a stream."""
        with use_stream(stream):
            self.found += filter(None, [self.order.note_step()])

    def end(self) -> list[str]:
        """Return all that was amiss."""
        return [*self.found, *filter(None, [self.order.end_call()])]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    order = StreamOrder()
    monkeypatch.setattr(module, "ORDER", order)
    return Call(order)


def test_work_on_the_callers_stream_waits_for_nothing(call: Call) -> None:
    """Its order is that of the stream."""
    call.work(call.callers)
    assert call.end() == []


def wait_for_stream(waiting: PretendedStream, awaited: PretendedStream) -> None:
    waiting.wait_stream(awaited)


def wait_for_event(waiting: PretendedStream, awaited: PretendedStream) -> None:
    waiting.wait_event(awaited.record_event())


def let_event_hold(waiting: PretendedStream, awaited: PretendedStream) -> None:
    event = PretendedEvent()
    event.record(awaited)
    event.wait(waiting)


@pytest.mark.parametrize("wait", [wait_for_stream, wait_for_event, let_event_hold])
def test_work_that_waits_and_is_waited_for_is_fine(call: Call, wait: Callable[..., None]) -> None:
    """For a stream, or for an event of it, from either side."""
    wait(call.side, call.callers)
    call.work(call.side)
    wait(call.callers, call.side)
    assert call.end() == []


def test_an_event_belongs_to_the_current_stream_if_none_is_named(call: Call) -> None:
    """Both where it is recorded and where it holds up."""
    event = PretendedEvent()
    event.record()
    with use_stream(call.side):
        event.wait()
        call.work(call.side)
        event.record()
    event.wait()
    assert call.end() == []


def test_what_did_not_wait_for_the_caller_is_found(call: Call) -> None:
    """What it reads may not be there yet."""
    call.work(call.side)
    call.callers.wait_stream(call.side)
    assert call.end() == [UNWAITED]


def test_what_nobody_waited_for_is_found(call: Call) -> None:
    """The caller may read the answer before it is there."""
    call.side.wait_stream(call.callers)
    call.work(call.side)
    assert call.end() == [UNFINISHED]


@pytest.mark.parametrize("wait", [wait_for_stream, wait_for_event])
def test_a_wait_before_the_work_does_not_count_for_it(call: Call, wait: Callable[..., None]) -> None:
    """It came after what was waited for."""
    call.side.wait_stream(call.callers)
    wait(call.callers, call.side)
    call.work(call.side)
    assert call.end() == [UNFINISHED]


def test_an_event_covers_what_came_before_it(call: Call) -> None:
    """Waited for later, it does not stand for what has been launched since."""
    call.side.wait_stream(call.callers)
    event = call.side.record_event()
    call.work(call.side)
    call.callers.wait_event(event)
    assert call.end() == [UNFINISHED]


def test_an_event_of_an_earlier_call_holds_nobody(call: Call) -> None:
    """It came to pass long ago."""
    event = call.callers.record_event()
    call.begin()
    call.side.wait_event(event)
    call.work(call.side)
    call.callers.wait_stream(call.side)
    assert call.end() == [UNWAITED]


HOST_WAITS: dict[str, Callable[[PretendedStream], None]] = {
    "stream": lambda stream: stream.synchronize(),
    "event": lambda stream: stream.record_event().synchronize(),
    "device": lambda _: module.ORDER.wait(None, None),
}


@pytest.mark.parametrize("wait", HOST_WAITS.values(), ids=HOST_WAITS.keys())
def test_the_host_may_wait_in_the_place_of_a_stream(call: Call, wait: Any) -> None:
    """For the caller's stream before the work, and for the other after it."""
    call.work(call.callers)
    wait(call.callers)
    call.work(call.side)
    wait(call.side)
    assert call.end() == []


def test_what_the_host_waited_for_before_more_work_of_the_caller_does_not_count(call: Call) -> None:
    """The other stream may read what that has not made yet."""
    module.ORDER.wait(None, None)
    call.work(call.callers)
    call.work(call.side)
    module.ORDER.wait(None, None)
    assert call.end() == [UNWAITED]


def test_each_stream_must_wait_and_be_waited_for_by_itself(call: Call) -> None:
    """One that did does not speak for the other."""
    call.side.wait_stream(call.callers)
    call.work(call.side)
    call.work(call.other)
    call.callers.wait_stream(call.side)
    assert call.end() == [UNWAITED, UNFINISHED]


def test_a_stream_that_waited_for_another_has_waited_for_what_that_waited_for(call: Call) -> None:
    """A chain of streams is a chain of waits."""
    call.side.wait_stream(call.callers)
    call.work(call.side)
    call.other.wait_stream(call.side)
    call.work(call.other)
    call.callers.wait_stream(call.other)
    assert call.end() == []


ON_SIDE = changed(
    "        return out\n",
    "            shift[(triton.cdiv(count, 4096), 1)](out, conv1.bias, 3025, count, BLOCK=4096)\n"
    "        AFTER\n"
    "        return out\n",
    changed(
        "        shift[(triton.cdiv(count, 4096), 1)](out, conv1.bias, 3025, count, BLOCK=4096)\n",
        "        side = torch.cuda.Stream()\n        BEFORE\n        with torch.cuda.stream(side):\n",
    ),
)
WAITS = ("side.wait_stream(torch.cuda.current_stream())", "torch.cuda.current_stream().wait_stream(side)")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [("pass", WAITS[1], UNWAITED), (WAITS[0], "pass", UNFINISHED)],
)
def test_a_file_whose_streams_do_not_wait_has_no_plan(
    start: Start, before: str, after: str, says: str
) -> None:
    """Its launches have no order that a GPU would keep."""
    reason, detail = broken(start(ON_SIDE.replace("BEFORE", before).replace("AFTER", after)))
    assert reason == "stream-order"
    assert says in detail
