"""Where the values of an answer stand in it: flat row-major offsets."""

import numpy as np
from numpy.typing import NDArray

Offsets = NDArray[np.int64] | range
"""Ascending; a range where none is left out: of a large answer the offsets take more memory than it does."""


def listed(offsets: Offsets) -> NDArray[np.int64]:
    """Return the offsets as an array."""
    return np.arange(offsets.start, offsets.stop) if isinstance(offsets, range) else offsets
