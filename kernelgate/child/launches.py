"""What a contestant that is timed asks of the GPU: the kernels it loads, its streams, and who computes.

A file that counts its calls knows when it is timed, and might then let somebody else compute, or run code
that the compile stage never saw. So the judge may ask at any time to watch calls that pass for timed ones,
and for all code that was loaded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from triton.compiler import CompiledKernel
from triton.runtime.jit import JITFunction

from kernelgate import wire
from kernelgate.child.arguments import tensors_in
from kernelgate.child.audit import outside_help
from kernelgate.child.witness import Witness


class Launches:
    """Follows every launch of this process: `streams` are those that one was made on."""

    def __init__(self, current_stream: Callable[[], Any]) -> None:
        self.streams: set[Any] = set()
        self._current_stream = current_stream
        self._loaded: dict[int, Any] = {}
        self._witness: Witness | None = None
        self._capturing: set[int] = set()
        self._captured: dict[int, set[int]] = {}

    def follow(self) -> None:
        """Take note of launches, of what Triton loads for them, and of graphs, from here on."""
        self._follow_loads()
        self._follow_graphs()
        run, launches = JITFunction.run, self

        def run_and_note(jitted: Any, *args: Any, **named: Any) -> Any:
            launches.streams.add(launches._current_stream())
            if launches._witness is not None or torch.cuda.is_current_stream_capturing():
                launches._note(tensors_in([*args, *named.values()]))
            return run(jitted, *args, **named)

        JITFunction.run = run_and_note

    def unload(self) -> None:
        """Forget, as far as Triton knows, all machine code: the next launch loads the same code elsewhere."""
        for kernel in self._loaded.values():
            kernel.module = kernel._run = None

    def describe(self) -> wire.Code:
        """Return the kernels that were loaded, as files."""
        kernels = []
        for number, kernel in enumerate(self._loaded.values()):
            files = {}
            for kind in ("ptx", "ttir"):
                files[kind] = Path(f"loaded-{number}.{kind}").absolute()
                files[kind].write_text(str(kernel.asm[kind]), encoding="utf-8")
            kernels.append(
                wire.LoadedCode(kernel=kernel.name, ptx_file=str(files["ptx"]), ttir_file=str(files["ttir"]))
            )
        return wire.Code(kernels=tuple(kernels))

    @contextmanager
    def watched(self, x: torch.Tensor) -> Iterator[Witness]:
        """Give the witness of one call on x, made within the context."""
        witness = self._witness = Witness(lambda _: None, lambda _: None)
        witness.follow_x(x)
        try:
            with witness:
                yield witness
        finally:
            self._witness = None

    def _note(self, tensors: list[torch.Tensor]) -> None:
        """Take a launch to have read and written all that it was given."""
        storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        if torch.cuda.is_current_stream_capturing():
            self._capturing |= storages
        if self._witness is not None:
            self._witness.note_launch(tensors, storages, storages)

    def _follow_loads(self) -> None:
        load, launches = CompiledKernel._init_handles, self

        def load_and_note(kernel: Any) -> None:
            launches._loaded[id(kernel)] = kernel
            load(kernel)

        CompiledKernel._init_handles = load_and_note

    def _follow_graphs(self) -> None:
        graphs: Any = torch.cuda.CUDAGraph
        end, replay, launches = graphs.capture_end, graphs.replay, self

        def end_and_note(graph: Any) -> None:
            end(graph)
            launches._captured[id(graph)], launches._capturing = launches._capturing, set()

        def replay_and_note(graph: Any) -> None:
            replay(graph)
            if launches._witness is not None:
                storages = launches._captured.get(id(graph), set())
                launches._witness.note_launch([], storages, storages)

        graphs.capture_end, graphs.replay = end_and_note, replay_and_note


def who_computed(witness: Witness, answer: object) -> tuple[str, ...]:
    """Return what somebody else did than a launch, up to an answer that no launch made."""
    if isinstance(answer, torch.Tensor):
        witness.check_answer(answer)
    return (*witness.found, *outside_help())
