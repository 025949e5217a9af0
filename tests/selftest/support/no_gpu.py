"""For tests of what the gate says on a machine without a GPU."""

import pytest

from kernelgate.machine.gpu import visible_gpus

needs_no_gpu = pytest.mark.skipif(
    bool(visible_gpus()),
    reason="NOT_MEASURED is expected; the GPU at hand would be used",
)
