"""What a worker that is timed asks of the GPU: the kernels it loads, its streams, and who computes.

A file that counts its calls knows when it is timed, and might then let somebody else compute, or run code
that the compile stage never saw. So the judge may ask at any time to watch calls that pass for timed ones,
and for all code that was loaded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from triton.compiler import CompiledKernel
from triton.runtime.jit import JITFunction

from kernelgate import protocol
from kernelgate.worker.tensors.launch_arguments import tensors_in
from kernelgate.worker.watch.audit_events import outside_help
from kernelgate.worker.watch.data_flow import Witness
from kernelgate.worker.watch.graphs import Captured, Graphs


class Made(NamedTuple):
    """A kernel, and what it was compiled to when it was made: a file may exchange that afterwards."""

    kernel: Any
    cubin: bytes
    ptx: str
    ttir: str


class Launches:
    """Follows every launch of this process: `streams` are those that one was made on."""

    def __init__(self, current_stream: Callable[[], Any]) -> None:
        self.streams: set[Any] = set()
        self.graphs = Graphs()
        self._current_stream = current_stream
        self._made: dict[int, Made] = {}
        self._loaded: dict[int, Made] = {}
        self._witness: Witness | None = None
        self._parameters: set[int] = set()

    def follow(self) -> None:
        """Take note of launches, of what Triton compiles and loads for them, and of graphs, from here on."""
        self._follow_code()
        self.graphs.follow()
        run, launches = JITFunction.run, self

        def run_and_note(jitted: Any, *args: Any, **named: Any) -> Any:
            if not named.get("warmup"):
                launches.streams.add(launches._current_stream())
                if launches._witness is not None or torch.cuda.is_current_stream_capturing():
                    launches._note(tensors_in([*args, *named.values()]))
            return run(jitted, *args, **named)

        JITFunction.run = run_and_note

    def unload(self) -> None:
        """Forget, as far as Triton knows, all machine code: the next launch loads the same code elsewhere."""
        for made in self._loaded.values():
            made.kernel.module = made.kernel._run = None

    def describe(self) -> protocol.Code:
        """Return the kernels that were loaded, as files."""
        kernels = []
        for number, made in enumerate(self._loaded.values()):
            ptx, ttir = (Path(f"loaded-{number}.{kind}").absolute() for kind in ("ptx", "ttir"))
            ptx.write_text(made.ptx, encoding="utf-8")
            ttir.write_text(made.ttir, encoding="utf-8")
            kernels.append(
                protocol.LoadedCode(kernel=str(made.kernel.name), ptx_file=str(ptx), ttir_file=str(ttir))
            )
        return protocol.Code(kernels=tuple(kernels))

    @contextmanager
    def watched(self, x: torch.Tensor, model: nn.Module) -> Iterator[Witness]:
        """Give the witness of one call of the model on x, made within the context."""
        witness = self._witness = Witness(lambda _: None, lambda _: None)
        self._parameters = {
            each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())
        }
        self.graphs.on_replay = self._note_replay
        witness.follow_x(x)
        try:
            with witness:
                yield witness
        finally:
            self._witness = None

    def _note(self, tensors: list[torch.Tensor]) -> None:
        """Take a launch to have read all that it was given, and written it but for the model's own."""
        storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        if torch.cuda.is_current_stream_capturing():
            storages |= self.graphs.note_launch(storages)
        if self._witness is not None:
            self._witness.note_launch(tensors, storages, storages - self._parameters)

    def _note_replay(self, graph: Captured) -> None:
        if self._witness is not None:
            for found in graph.contractions.found:
                self._witness.find(found)
            self._witness.note_launch([], graph.storages, graph.storages - self._parameters)

    def _follow_code(self) -> None:
        """Keep what each kernel was compiled to, and have that loaded, whatever it has become since."""
        make, load, launches = CompiledKernel.__init__, CompiledKernel._init_handles, self

        def make_and_keep(kernel: Any, *args: Any, **named: Any) -> None:
            make(kernel, *args, **named)
            launches._made[id(kernel)] = Made(
                kernel, kernel.kernel, str(kernel.asm["ptx"]), str(kernel.asm["ttir"])
            )

        def load_and_note(kernel: Any) -> None:
            made = launches._loaded[id(kernel)] = launches._made[id(kernel)]
            kernel.kernel = made.cubin
            load(kernel)

        CompiledKernel.__init__, CompiledKernel._init_handles = make_and_keep, load_and_note


def who_computed(witness: Witness, answer: object) -> tuple[str, ...]:
    """Return what somebody else did than a launch, up to an answer that no launch made."""
    if isinstance(answer, torch.Tensor):
        witness.check_answer(answer)
    return (*witness.found, *outside_help())
