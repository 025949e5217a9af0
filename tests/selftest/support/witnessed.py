"""A witness of a made-up call: its tensors, and launches that are only told of."""

from collections.abc import Callable

import torch
from torch import Tensor

from kernelgate.worker.watch.data_flow import Witness


class WatchedCall:
    """The witness, x, a weight, and what was asked to be filled or was about to be read."""

    def __init__(self) -> None:
        self.filled: list[Tensor] = []
        self.read: list[Tensor] = []
        self.witness = Witness(self.filled.append, self.read.append)
        self.x = torch.randn(2, 4, 8, 8)
        self.weight = torch.randn(6, 4, 3, 3)
        self.witness.follow_x(self.x)

    def launch(self, reads: list[Tensor], writes: list[Tensor]) -> None:
        """Tell the witness of a launch."""
        read, written = ({t.untyped_storage().data_ptr() for t in each} for each in (reads, writes))
        self.witness.note_launch([*reads, *writes], read, written)

    def launched(self) -> Tensor:
        """Return memory that a launch wrote, reading x."""
        out = torch.empty(2, 6, 8, 8)
        self.launch([self.x, self.weight], [out])
        return out

    def judge(self, make_answer: Callable[["WatchedCall"], Tensor]) -> list[str]:
        """Return what is found in a call that makes its answer in this way."""
        with self.witness:
            answer = make_answer(self)
        self.witness.check_answer(answer)
        return self.witness.found
