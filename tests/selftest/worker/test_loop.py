"""A mode that cannot start says so in place of its first answer: no kernel file has been seen yet."""

import os

import pytest

from kernelgate import protocol
from kernelgate.worker import loop


@pytest.mark.parametrize("error", [ImportError("libcuda.so.1 is missing"), OSError("cannot be loaded")])
def test_a_library_that_is_missing_is_the_gates_own_fault(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told with its cause, and no kernel is blamed."""

    def start(_mode: str) -> loop.ModeProgram:
        raise error

    monkeypatch.setattr(loop, "_start_mode", start)
    monkeypatch.setattr(loop, "_end_with_judge", lambda _: None)
    requests, ask = os.pipe()
    answered, responses = os.pipe()
    os.write(ask, b"{}\n")
    loop.serve("execute", requests, responses)
    os.close(ask)
    with os.fdopen(answered, "rb") as stream:
        said = protocol.decode_response(stream.readline())
    assert isinstance(said, protocol.Failed)
    assert said.kind is protocol.FailureKind.GATE_FAULT
    assert str(error) in said.detail


def test_a_request_that_cannot_be_read_is_the_gates_own_fault() -> None:
    """No kernel file has a hand in what the judge asks."""
    said = protocol.decode_response(loop._answer(Never(), "execute", b'{"type": "RunPlan"}'))
    assert isinstance(said, protocol.Failed)
    assert said.kind is protocol.FailureKind.GATE_FAULT


class Never:
    """A mode that must not be asked."""

    kernel_file = ""

    def answer(self, request: protocol.Request) -> protocol.Response:
        raise AssertionError(request)

    def is_crowded(self) -> bool:
        return False
