"""How a worker hands an answer to the judge: as the bytes of a file, float32: it holds every bfloat16."""

from collections.abc import Sequence
from pathlib import Path

import torch

from kernelgate import protocol


def write_items(answer: torch.Tensor, items: Sequence[int], out: str) -> protocol.Sent:
    """Write those items of an answer [N, ...] to a file, all of them if none is named."""
    chosen = answer[list(items)] if items else answer
    values = chosen.contiguous().float().cpu().numpy()
    values.tofile(Path(out))
    return protocol.Sent(count=values.size, whole=True)
