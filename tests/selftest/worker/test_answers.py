"""How an answer reaches the judge: as a file of just its values, written over the answer before it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kernelgate import protocol
from kernelgate.worker.tensors.answers import write_items


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_answer_takes_the_place_of_the_one_before(tmp_path: Path, dtype: torch.dtype) -> None:
    """A shorter one leaves nothing of it behind; a longer one has room."""
    out = tmp_path / "out.f32"
    for rows in (3, 1, 5):
        answer = torch.arange(rows * 4, dtype=dtype).reshape(rows, 4) + rows
        assert write_items(answer, (), str(out)) == protocol.Sent(count=rows * 4, whole=True)
        assert np.array_equal(np.fromfile(out, np.float32), answer.float().numpy().ravel())


def test_items_are_written_in_the_order_asked_for(tmp_path: Path) -> None:
    """And no others."""
    out = tmp_path / "out.f32"
    answer = torch.arange(12.0).reshape(4, 3)
    write_items(answer, (), str(out))
    assert write_items(answer, (2, 0), str(out)).count == 6
    assert np.fromfile(out, np.float32).tolist() == [6, 7, 8, 0, 1, 2]


def test_what_does_not_lie_row_by_row_is_written_so(tmp_path: Path) -> None:
    """A transposed answer has the values of its elements, not of its memory."""
    out = tmp_path / "out.f32"
    write_items(torch.arange(6.0).reshape(2, 3).T, (), str(out))
    assert np.fromfile(out, np.float32).tolist() == [0, 3, 1, 4, 2, 5]
