"""A kernel file's autotuners, pinned to one configuration."""

from types import SimpleNamespace

import pytest
from triton.runtime.autotuner import Autotuner

from kernelgate.compilation.compiler import count_pins
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.protocol import Autotuned, Loaded
from kernelgate.worker.model.kernel_model import KernelModel


@pytest.mark.parametrize(("choices", "pins"), [((), 1), ((1,), 1), ((2, 3), 3), ((3, 1), 3)])
def test_every_configuration_of_every_autotuner_has_a_pin(choices: tuple[int, ...], pins: int) -> None:
    """As the judge counts them; a file of none is called once."""
    config = KernelConfig(blocks={}, num_warps=4, num_stages=1)
    described = tuple(Autotuned(kernel="k", configs=(config,) * count) for count in choices)
    assert count_pins(Loaded(autotuned=described)) == pins
    kernel = KernelModel.__new__(KernelModel)
    kernel.autotuners = [SimpleNamespace(configs=list(range(count)), cache={}) for count in choices]
    seen: list[set[int]] = [set() for _ in choices]
    for pin in range(pins):
        with kernel.pinned(pin):
            for tuner, fastest in zip(kernel.autotuners, seen, strict=True):
                fastest.add(min(tuner.configs, key=lambda each: Autotuner._bench(tuner, config=each)))
    assert seen == [set(range(count)) for count in choices]
