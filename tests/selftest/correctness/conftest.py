"""What the judge does on a GPU stays where it is: these tests need none."""

from contextlib import nullcontext

import pytest
import torch


@pytest.fixture(autouse=True)
def no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one stream of the GPU be as good as another."""
    monkeypatch.setattr(torch.cuda, "Stream", object)
    monkeypatch.setattr(torch.cuda, "stream", lambda _stream: nullcontext())
