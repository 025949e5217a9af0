"""What goes to a GPU passes through pinned memory; what is on the host already stays there."""

import pytest
import torch

from kernelgate.operations.draws import transfer
from kernelgate.operations.draws.transfer import to_gpu, to_host


@pytest.mark.parametrize(("most", "pins"), [(16, True), (15, False)])
def test_what_fits_is_pinned_and_nobody_waits(most: int, pins: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A larger one is copied as it lies: pinned memory is taken from all other programs."""
    pinned, moved = [], []
    monkeypatch.setattr(transfer, "MAX_PINNED_BYTES", most)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self) or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *where, **how: moved.append((where, how)) or self)
    values = torch.arange(4.0)
    assert to_gpu(values) is values
    assert len(pinned) == pins
    assert moved == [(("cuda",), {"non_blocking": True})]


def test_what_is_on_the_host_is_not_copied() -> None:
    """The interpreter's answers are there already."""
    values = torch.arange(4.0)
    assert to_host(values) is values
