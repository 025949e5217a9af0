"""Mode `interpret`: run the real wrapper under Triton's interpreter, on all programs or on sampled ones."""

import inspect
import random
from typing import Any

import torch

# The judge sets TRITON_INTERPRET before this process starts: triton reads it when it is imported.
from triton.runtime import interpreter

from kernelgate import wire
from kernelgate.child.exchange import read_inputs, same_bits, write_output
from kernelgate.child.kernel_file import KernelModel
from kernelgate.child.lookalike import CudaLookalike, PretendedGpu, dress_model, plain, pretend_cuda
from kernelgate.child.stub_driver import ADA, StubDriver, activate
from kernelgate.operations import find_operation

Program = tuple[int, int, int]


class InterpretMode:
    """Runs programs of the kernel on the CPU. The interpreter's dot is float32, never TF32."""

    def __init__(self) -> None:
        self.kernel_file = ""
        self.launches = self.programs_run = self.programs_total = 0
        self.sample = _Sample(0, 0)
        torch.set_num_threads(1)
        pretend_cuda(ADA)
        activate(StubDriver(89, lambda *_: None))
        mode = self

        def run_chosen_programs(executor: Any, *args: Any, **kwargs: Any) -> None:
            mode.run_launch(executor, args, kwargs)

        # The library's executor walks the whole grid, then copies every storage onto itself, which commits
        # all memory of a large batch; this one runs the chosen programs in place.
        interpreter.GridExecutor.__call__ = run_chosen_programs

    def answer(self, request: wire.Request) -> wire.Response:
        """Return what was loaded or run."""
        if isinstance(request, wire.Load) and request.file is not None:
            self.kernel_file = request.file
            self.operation = find_operation(request.operation)
            self.kernel = KernelModel(request.file)
            dress_model(self.kernel.model)
            return wire.Loaded(autotuned=self.kernel.describe())
        if isinstance(request, wire.RunOne):
            return self._run(request)
        raise ValueError(f"mode interpret does not answer {type(request).__name__}")

    def _run(self, request: wire.RunOne) -> wire.Ran:
        x, weight, bias = read_inputs(self.operation, request.batch, request.x, request.weight, request.bias)
        self.kernel.set_parameters(weight, bias)
        self.launches = self.programs_run = self.programs_total = 0
        self.sample = _Sample(request.programs, request.seed)
        given = x.clone().as_subclass(CudaLookalike)
        with PretendedGpu(request.poison_bits), self.kernel.pinned(request.pin), torch.no_grad():
            output = self.kernel.model(given)
        if not isinstance(output, torch.Tensor):
            return wire.Ran(returned=type(output).__name__, launches=self.launches)
        device = str(output.device)
        output = plain(output)
        write_output(output, request.out)
        return wire.Ran(
            returned="Tensor",
            shape=tuple(output.shape),
            dtype=str(output.dtype),
            device=device,
            contiguous=output.is_contiguous(),
            launches=self.launches,
            programs_run=self.programs_run,
            programs_total=self.programs_total,
            inputs_intact=same_bits(plain(given), x) and self._parameters_intact(weight, bias),
        )

    def _parameters_intact(self, weight: torch.Tensor, bias: torch.Tensor) -> bool:
        conv1 = self.kernel.conv1
        return same_bits(plain(conv1.get_parameter("weight").detach()), weight) and same_bits(
            plain(conv1.get_parameter("bias").detach()), bias
        )

    def run_launch(self, executor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run the chosen programs of one launch on the tensors themselves."""
        _refuse_cpu_tensors(args, kwargs)
        names = inspect.getfullargspec(executor.fn).args
        scope = interpreter._patch_lang(executor.fn)
        try:
            bound = inspect.getcallargs(executor.fn, *args, **{k: v for k, v in kwargs.items() if k in names})
            bound = {name: self._convert(executor, name, value) for name, value in bound.items()}
            grid = executor.grid(bound) if callable(executor.grid) else executor.grid
            x, y, z = (*grid, 1, 1)[:3]
            interpreter.interpreter_builder.set_grid_dim(x, y, z)
            chosen = self.sample.choose((x, y, z))
            for program in chosen:
                interpreter.interpreter_builder.set_grid_idx(*program)
                executor.fn(**bound)
        finally:
            scope.restore()
        self.launches += bool(chosen)  # Triton launches nothing for an empty grid
        self.programs_run += len(chosen)
        self.programs_total += x * y * z

    @staticmethod
    def _convert(executor: Any, name: str, value: Any) -> Any:
        return value if name in executor.constexprs else interpreter._implicit_cvt(value)


class _Sample:
    """Which programs of a grid to run: its corners, then random ones; all when `count` is 0 or covers it."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.random = random.Random(seed)  # noqa: S311 - a replayable sample, not a secret

    def choose(self, grid: Program) -> list[Program]:
        total = grid[0] * grid[1] * grid[2]
        if self.count == 0 or total <= self.count:
            return [(x, y, z) for x in range(grid[0]) for y in range(grid[1]) for z in range(grid[2])]
        ends_x, ends_y, ends_z = ({0, extent - 1} for extent in grid)
        chosen = {(x, y, z) for x in ends_x for y in ends_y for z in ends_z}
        while len(chosen) < min(self.count, total):
            chosen.add((self._draw(grid[0]), self._draw(grid[1]), self._draw(grid[2])))
        return sorted(chosen)

    def _draw(self, extent: int) -> int:
        return self.random.randrange(extent)


def _refuse_cpu_tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor) and not isinstance(value, CudaLookalike):
            raise ValueError("a launch was given a CPU tensor, which Triton cannot reach on a GPU")
