"""Importing a kernel file, making its model, and pinning its autotuners to one configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

from triton.runtime.autotuner import Autotuner, Config

from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation
from kernelgate.protocol import Autotuned
from kernelgate.worker.failures import NotOfferedError
from kernelgate.worker.fake_cuda.tensors import PretendedGpu
from kernelgate.worker.model.kernel_module import ModelMaker, import_file


class KernelModel:
    """One imported kernel file, what makes its models, and every autotuner that import and model made.

    Raises UnmatchedParametersError unless its model has the operation's parameters.
    """

    def __init__(self, path: str, operation: Operation) -> None:
        self.autotuners: list[Any] = []
        with _collected(self.autotuners), PretendedGpu():
            self.make_model = ModelMaker(operation, import_file(path))
            self.make_model.parameters_of(self.make_model())

    def describe(self) -> tuple[Autotuned, ...]:
        """Return the autotuned kernels with their configurations."""
        return tuple(
            Autotuned(kernel=tuner.base_fn.__name__, configs=tuple(map(describe_config, tuner.configs)))
            for tuner in self.autotuners
        )

    @contextmanager
    def pinned(self, pin: int | None, *, strictly: bool = True) -> Iterator[None]:
        """Let each autotuner find one configuration the fastest, without timing any; None leaves them free.

        It has them all and chooses by itself. So its own rules of what suits a call hold, and a file sees
        nothing that it would not see in use. Where those rules leave the pinned one out, it raises
        NotOfferedError, or takes the next one that they leave in, unless it is to be `strictly` that one.
        """
        if pin is None:
            yield
            return
        saved, bench = [tuner.cache for tuner in self.autotuners], Autotuner._bench
        Autotuner._bench = partialmethod(_prefer, pin)
        for tuner in self.autotuners:
            tuner.cache = {}
        try:
            yield
            if strictly:
                self._check_chosen(pin)
        finally:
            Autotuner._bench = bench
            for tuner, cache in zip(self.autotuners, saved, strict=True):
                tuner.cache = cache

    def pinned_config(self, pin: int) -> KernelConfig | None:
        """Return the configuration that a pin names, of the autotuner that has most; None without one."""
        tuner = max(self.autotuners, key=lambda tuner: len(tuner.configs), default=None)
        return None if tuner is None else describe_config(tuner.configs[pin % len(tuner.configs)])

    def _check_chosen(self, pin: int) -> None:
        for tuner in self.autotuners:
            wanted = tuner.configs[pin % len(tuner.configs)]
            if any(chosen != wanted for chosen in tuner.cache.values()):
                raise NotOfferedError(f"{describe_config(wanted)}: its prune_configs_by leaves it out here")


def _prefer(tuner: Any, pin: int, *_args: Any, config: Config, **_named: Any) -> list[float]:
    """Return made-up times, for `Autotuner._bench`: the pinned one is the fastest, then those behind it."""
    return [float((tuner.configs.index(config) - pin) % len(tuner.configs))] * 3


def describe_config(config: Config) -> KernelConfig:
    """Return the configuration as a record; values that are not integers become text."""
    blocks = {key: int(v) if isinstance(v, int) else repr(v) for key, v in config.kwargs.items()}
    return KernelConfig(
        blocks=blocks,
        num_warps=config.num_warps,
        num_stages=config.num_stages,
        num_ctas=config.num_ctas,
        max_registers=config.maxnreg,
    )


@contextmanager
def _collected(autotuners: list[Any]) -> Iterator[None]:
    make = Autotuner.__init__

    def make_and_note(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        autotuners.append(self)

    Autotuner.__init__ = make_and_note
    try:
        yield
    finally:
        Autotuner.__init__ = make
