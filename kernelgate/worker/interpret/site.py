"""Calls under Triton's interpreter: memory that looks like a GPU's, programs run whole or sampled."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

# The judge sets TRITON_INTERPRET before this process starts: triton reads it when it is imported.
from triton.runtime import interpreter

from kernelgate import protocol
from kernelgate.execution.sampling import (
    Program,
    busiest_written,
    choose_programs,
    count_idle,
    find_owners,
    two_of_each_row,
)
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import image_numbers, make_image, make_x
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu, dress_model, plain
from kernelgate.worker.fake_cuda.torch_cuda import PretendedGraph
from kernelgate.worker.fake_cuda.triton_driver import check_grid
from kernelgate.worker.interpret.memory import Memory, Region
from kernelgate.worker.model.calls import same_bits
from kernelgate.worker.tensors.launch_arguments import tensors_in
from kernelgate.worker.tensors.layouts import lay_out, overwrite
from kernelgate.worker.tensors.poison import poison_word
from kernelgate.worker.watch.data_flow import Witness

LAZY_LAYOUT = "contiguous"
MIN_FOLLOWED_BATCH = 256
"""From here on numbers of images, tiles and elements outgrow the types that hold them."""

MANY_LAUNCHES = 8
FEW_PROGRAMS = 3
"""A file that works in parts launches a hundred times: after some alike a few programs of each are enough."""


class InterpretedSite:
    """Host memory that looks like a GPU's, and the interpreter in the place of launches."""

    def __init__(self, operation: Convolution) -> None:
        self.operation = operation
        self.memory = Memory(interpreter._interpreter)
        interpreter._interpreter = self.memory
        self.launched: list[_Launched] = []
        self.idle: dict[tuple[str, Program], tuple[int, int]] = {}
        site = self

        def run_chosen_programs(executor: Any, *args: Any, **kwargs: Any) -> None:
            if PretendedGraph.capturing is not None:
                PretendedGraph.capturing.launches.append(lambda: site.run_launch(executor, args, kwargs))
            site.run_launch(executor, args, kwargs)

        # The library's executor walks the whole grid, then copies every storage onto itself, which commits
        # all memory of a large batch; this one runs the chosen programs in place.
        interpreter.GridExecutor.__call__ = run_chosen_programs

    def dress(self, model: nn.Module) -> None:
        """Put the model's parameters behind the pretence."""
        dress_model(model)

    def make_x(self, request: protocol.RunOne) -> torch.Tensor:
        """Return x; in the layout that needs no copy, memory that is filled as it is read."""
        shape = self.operation.input_shape(request.recipe.batch)
        lazy = request.layout == LAZY_LAYOUT
        x = torch.empty(shape) if lazy else lay_out(make_x(self.operation, request.recipe), request.layout)
        return x.as_subclass(CudaLookalike)

    def refill_x(self, request: protocol.RunOne, x: torch.Tensor) -> None:
        """Write what is not lazy; what is lazy is filled anew in any case."""
        if request.layout != LAZY_LAYOUT:
            overwrite(plain(x), make_x(self.operation, request.recipe))

    @contextmanager
    def watching(self, request: protocol.RunOne, x: torch.Tensor) -> Iterator[Witness]:
        """Give the context in which the model is called on x."""
        self.request, self.launched, self.idle = request, [], {}
        self.memory.begin_call()
        self._add_x(request, plain(x))
        pretence = PretendedGpu()

        def fill_empty(tensor: torch.Tensor) -> None:
            bits = 0 if pretence.makes_zeros else poison_word(tensor.dtype, request.poison_bits)
            self.memory.add(tensor, lambda region, words: _set(region, words, np.uint32(bits)))

        self.witness = Witness(fill_empty, self.memory.settle)
        self.witness.follow_x(x)
        pretence.on_host_read = self.witness.note_host_read
        with np.errstate(all="ignore"), pretence, self.witness:
            yield self.witness

    def _add_x(self, request: protocol.RunOne, x: torch.Tensor) -> None:
        if request.layout != LAZY_LAYOUT:
            self.memory.region_of(x)
            return
        recipe, words_an_image = request.recipe, x[0].numel()
        numbers = image_numbers(recipe)

        def fill(region: Region, words: NDArray[np.int64]) -> None:
            for place in np.flatnonzero(np.bincount(words // words_an_image)):
                image = make_image(self.operation, recipe, int(numbers[place]))
                span = np.arange(place * words_an_image, (place + 1) * words_an_image)
                _set(region, span, image.numpy().view(np.uint32).ravel())

        self.memory.add(x, fill)

    def finish(self) -> None:
        """Return at once: nothing here runs beside the caller."""

    def launches(self, answer: torch.Tensor | None) -> tuple[protocol.SeenLaunch, ...]:
        """Return the launches of the last call."""
        target = None if answer is None else self.memory.region_of(plain(answer))
        alone = target is not None and not target.readers
        return tuple(
            protocol.SeenLaunch(
                kernel=launched.kernel,
                programs_run=launched.programs_run,
                programs_total=math.prod(launched.grid),
                programs_idle=launched.programs_idle,
                most_written=launched.most_written,
                makes_answer=alone and launched.wrote == {id(target)},
            )
            for launched in self.launched
        )

    def memory_found(self) -> tuple[str, ...]:
        """Return the accesses outside the tensors of the last call."""
        return tuple(self.memory.found)

    def x_intact(self, request: protocol.RunOne, x: torch.Tensor) -> bool:
        """Return whether no program and no operation wrote into x."""
        if request.layout != LAZY_LAYOUT:
            return same_bits(x, make_x(self.operation, request.recipe))
        region = self.memory.region_of(plain(x))
        words_an_image, numbers = x[0].numel(), image_numbers(request.recipe)
        settled = (
            range(len(numbers))
            if region.settled is None
            else np.flatnonzero(region.settled[:-1:words_an_image])
        )
        for place in settled:
            image = make_image(self.operation, request.recipe, int(numbers[place]))
            if not same_bits(x[place], image):
                return False
        return not region.log

    def watch_answer(self, answer: torch.Tensor) -> Callable[[], bool]:
        """Return what tells, after a later call, whether the answer is still the same."""
        values, places = self.read(answer, ())
        chosen = slice(None) if places is None else places
        return lambda: np.array_equal(_flat(answer)[chosen].view(np.uint32), values.view(np.uint32))

    def read(
        self, answer: torch.Tensor, _images: Sequence[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return what programs wrote of the answer; all of it where PyTorch had a hand in it."""
        region = self.memory.regions.get(answer.untyped_storage().data_ptr())
        flat = _flat(answer)
        if region is None or not region.log or not answer.is_contiguous():
            return flat.copy(), None
        places = region.written() - int(answer.storage_offset())
        places = places[(places >= 0) & (places < flat.size)]
        return (flat.copy(), None) if places.size == flat.size else (flat[places], places)

    def run_launch(self, executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the chosen programs of one launch on the tensors themselves."""
        parameters = inspect.getfullargspec(executor.fn).args
        kwargs = {name: value for name, value in kwargs.items() if name in parameters}
        for hook in executor.pre_run_hooks:
            hook(*args, **kwargs)
        tensors = tensors_in([*args, *kwargs.values()])
        _refuse_cpu_tensors(tensors)
        bound = inspect.getcallargs(executor.fn, *args, **kwargs)
        constants = executor.constexprs
        bound = {n: v if n in constants else interpreter._implicit_cvt(v) for n, v in bound.items()}
        grid = executor.grid(bound) if callable(executor.grid) else executor.grid
        launch = _Launch(executor, bound, check_grid((*grid, 1, 1)[:3]))
        count = self._sample_size(launch)
        chosen = choose_programs(launch.grid, count, self.request.recipe.batch, self.request.recipe.seed)
        if not chosen:
            return  # Triton launches nothing for an empty grid
        self.memory.begin_launch(launch.kernel, map(plain, tensors))
        self._run_programs(launch, chosen)
        idle = 0
        if count and self.request.recipe.batch >= MIN_FOLLOWED_BATCH:
            if self._count_alike(launch) < MANY_LAUNCHES:
                owners = self._find_owners(launch.grid)
                self._run_programs(launch, owners)
                chosen += owners
            idle = self._count_idle(launch, chosen)
        wrote, read = self.memory.end_launch()
        most = sum(busiest_written(launch.grid, self.memory.writes(region)) for region in wrote)
        if idle:
            idle, most = self.idle.setdefault((launch.kernel, launch.grid), (idle, most))
        self.launched.append(
            _Launched(launch.kernel, launch.grid, len(chosen), idle, most, {id(region) for region in wrote})
        )
        self.witness.note_launch(tensors, {r.start for r in read}, {r.start for r in wrote})

    def _sample_size(self, launch: "_Launch") -> int:
        """Return how many programs to choose, 0 for all of them."""
        if launch.kernel not in self.request.sampled:
            return 0
        if self._count_alike(launch) < MANY_LAUNCHES:
            return self.request.programs
        return min(self.request.programs, FEW_PROGRAMS)

    def _count_alike(self, launch: "_Launch") -> int:
        """Return how often the call has launched this kernel on this grid before."""
        return sum((each.kernel, each.grid) == (launch.kernel, launch.grid) for each in self.launched)

    def _find_owners(self, grid: Program) -> list[Program]:
        """Return the programs in whose place those of the last launch seem to have written."""
        pixels, operation = self.operation.out_size**2, self.operation
        outputs = math.prod(operation.output_shape(self.request.recipe.batch))

        def pixel_of(words: NDArray[np.int64]) -> NDArray[np.int64]:
            return words // (operation.out_channels * pixels) * pixels + words % pixels

        owners: list[Program] = []
        for region in self.memory.written_by_launch():
            if len(region.words) == outputs:
                in_all = self.request.recipe.batch * pixels
                owners += find_owners(grid, self.memory.writes(region), in_all, pixel_of)
        return owners

    def _count_idle(self, launch: "_Launch", chosen: Sequence[Program]) -> int:
        """Return how many programs at the end of the grid write nothing."""
        ran = set(chosen)

        def writes(program: Program) -> bool:
            if program not in ran:
                ran.add(program)
                self._run_programs(launch, [program])
            return any(program in self.memory.writes(region) for region in self.memory.written_by_launch())

        known, _ = self.idle.get((launch.kernel, launch.grid), (None, 0))
        idle = count_idle(launch.grid, writes, self.request.recipe.seed, known)
        if idle and known is None:
            for program in two_of_each_row(launch.grid, idle):
                writes(program)
        return idle

    def _run_programs(self, launch: "_Launch", chosen: Sequence[Program]) -> None:
        scope = interpreter._patch_lang(launch.executor.fn)
        try:
            interpreter.interpreter_builder.set_grid_dim(*launch.grid)
            for program in chosen:
                interpreter.interpreter_builder.set_grid_idx(*program)
                self.memory.begin_program(program)
                launch.executor.fn(**launch.bound)
        finally:
            scope.restore()


class _Launch(NamedTuple):
    executor: Any
    bound: dict[str, Any]
    grid: Program

    @property
    def kernel(self) -> str:
        return str(self.executor.fn.__name__)


class _Launched(NamedTuple):
    kernel: str
    grid: Program
    programs_run: int
    programs_idle: int
    most_written: int
    wrote: set[int]


def _set(region: Region, words: NDArray[np.int64], bits: Any) -> None:
    region.words[words] = bits
    if region.settled is not None:
        region.settled[words] = True


def _flat(answer: torch.Tensor) -> NDArray[Any]:
    return plain(answer).detach().reshape(-1).numpy()


def _refuse_cpu_tensors(tensors: Sequence[torch.Tensor]) -> None:
    if not all(isinstance(tensor, CudaLookalike) for tensor in tensors):
        raise ValueError("a launch was given a CPU tensor, which Triton cannot reach on a GPU")
