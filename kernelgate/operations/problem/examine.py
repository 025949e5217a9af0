"""Looking at a problem file: what it declares, and whether its reference is a function of its tensors.

It runs in a process of its own, which may be ended: the file may loop for ever, or take all memory there is.
"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from kernelgate.operations.declaration.argument import Argument, Shape
from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.problem.declare import declare_problem
from kernelgate.operations.problem.families import find_unfit
from kernelgate.operations.problem.free_size import MetaModel, find_free_size
from kernelgate.operations.problem.module import ProblemModule
from kernelgate.operations.problem.problem import Problem, ProblemError
from kernelgate.operations.problem.reference import call_model, find_parameters

SEEDS = (0, 1)
"""Of the two references that must answer alike once they hold the same parameters."""

FEW_ITEMS = 3
TOLERANCE = 1e-9
"""Between float64 answers of one item in different batches: sums of another order round otherwise."""

COPIES = 10
"""Float64 tensors of a size that a truth holds at once, in float32 tensors of it."""


def examine(file: Path, math: Math | None, memory_bytes: int) -> Problem:
    """Return what the file declares; raises ProblemError that says why it is no operation."""
    torch.set_num_threads(2)
    module = ProblemModule(file)
    models = [_made(module, seed) for seed in SEEDS]
    shapes = _read_inputs(module)
    names = _name_inputs(models[0], len(shapes))
    meta = MetaModel(models[0])
    output = _read_output(meta, list(shapes))
    free, measured = find_free_size(meta, shapes, output)
    problem = Problem(
        file=str(file.resolve()),
        sha256=module.sha256,
        name=f"problem-{file.stem}",
        inputs=tuple(
            Argument(name, shape, drawn_as="x") for name, shape in zip(names, free[:-1], strict=True)
        ),
        parameters=_name_parameters(models[0], names),
        output=free[-1],
        measured=measured,
        math=math or ("tf32" if meta.forms_products else "float32"),
        init=module.init_text,
    )
    _check_size(problem, memory_bytes)
    return _try_out(problem, models)


def _try_out(problem: Problem, models: Sequence[nn.Module]) -> Problem:
    """Return the problem with what calls in float64 show of it."""
    doubles = [each.double() for each in models]
    batch = min(FEW_ITEMS, problem.measured)
    tensors = _draw(problem, batch)
    answer = _call(problem, doubles[0], tensors)
    _check_function(problem, doubles, tensors, answer)
    problem = msgspec.structs.replace(
        problem,
        rows=_find_rows(problem, doubles[1], tensors, answer),
        same_in_eval=_alike(_call(problem, doubles[0].eval(), tensors), answer, 0),
    )
    return msgspec.structs.replace(problem, without=find_unfit(declare_problem(problem), batch))


def _made(module: ProblemModule, seed: int) -> nn.Module:
    try:
        return module.make_model(seed)
    except ProblemError:
        raise
    except Exception as error:
        raise ProblemError.of("Model(*get_init_inputs())", error) from error


def _read_inputs(module: ProblemModule) -> tuple[Shape, ...]:
    """Return the shapes of the inputs, drawn twice."""
    drawn = [_draw_inputs(module) for _ in range(2)]
    if not drawn[0]:
        raise ProblemError("tensors", "get_inputs gives nothing; allowed one float32 tensor or more")
    for number, given in enumerate(drawn[0]):
        _check_tensor(f"input {number} of get_inputs", given)
    first, second = ([tuple(each.shape) for each in inputs] for inputs in drawn)
    if first != second:
        raise ProblemError("shapes", f"get_inputs gives shapes {first}, and at a second call {second}")
    if not all(map(_has_elements, first)):
        raise ProblemError("shapes", f"get_inputs gives shapes {first}; allowed no empty tensor")
    return tuple(first)


def _draw_inputs(module: ProblemModule) -> list[Any]:
    try:
        with torch.device("meta"):  # shapes are enough, and large ones take gigabytes
            return module.make_inputs()
    except Exception:  # noqa: BLE001 - another's code: it may look at values, which meta lacks
        try:
            return module.make_inputs()
        except ProblemError:
            raise
        except Exception as error:
            raise ProblemError.of("get_inputs", error) from error


def _check_tensor(what: str, given: object) -> None:
    if not isinstance(given, Tensor):
        raise ProblemError("tensors", f"{what} is a {type(given).__name__}; allowed a float32 tensor")
    if given.dtype != torch.float32:
        kind = str(given.dtype).removeprefix("torch.")
        raise ProblemError("type", f"{what} is {kind}; allowed float32")


def _has_elements(shape: Shape) -> bool:
    return 0 not in shape


def _name_inputs(model: nn.Module, count: int) -> list[str]:
    """Return the names of forward's arguments, as many as there are inputs."""
    taken = [
        each.name
        for each in inspect.signature(model.forward).parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return [*taken, *(f"input_{number}" for number in range(len(taken), count))][:count]


def _name_parameters(model: nn.Module, taken: Sequence[str]) -> tuple[Argument, ...]:
    for name, parameter in model.named_parameters():
        _check_tensor(f"parameter {name}", parameter)
    found = find_parameters(model)
    # An input may have the name of a parameter; as a tensor of the operation each has one of its own.
    return tuple(
        Argument(f"{each.name}_parameter", each.shape, each.name) if each.name in taken else each
        for each in found
    )


def _read_output(meta: MetaModel, shapes: Sequence[Shape]) -> Shape:
    try:
        answer = meta(shapes)
    except Exception as error:
        raise ProblemError.of(f"forward of shapes {[list(shape) for shape in shapes]}", error) from error
    if isinstance(answer, tuple | list | dict):
        raise ProblemError(
            "tensors", f"forward returns a {type(answer).__name__} of {len(answer)}; allowed one tensor"
        )
    _check_tensor("the output", answer)
    assert isinstance(answer, Tensor)
    if not _has_elements(tuple(answer.shape)):
        raise ProblemError("shapes", f"the output has shape {list(answer.shape)}; allowed no empty tensor")
    return tuple(answer.shape)


def _check_size(problem: Problem, memory_bytes: int) -> None:
    """Raise ProblemError if the truth of the fewest items needs more memory than is allowed."""
    operation = declare_problem(problem)
    needed = COPIES * operation.min_bytes(min(FEW_ITEMS, problem.measured))
    if needed > memory_bytes:
        detail = f"the truth needs about {needed / 2**30:.0f} GiB, allowed {memory_bytes / 2**30:.0f}"
        raise ProblemError("memory", detail)


def _draw(problem: Problem, batch: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        each.name: torch.rand(each.shape_at(batch), generator=generator, dtype=torch.float64)
        for each in (*problem.inputs, *problem.parameters)
    }


def _call(problem: Problem, model: nn.Module, tensors: dict[str, Tensor]) -> Tensor:
    given = {each.stored_as or each.name: tensors[each.name] for each in problem.parameters}
    try:
        answer = call_model(model, given, [tensors[each.name].clone() for each in problem.inputs])
    except Exception as error:
        raise ProblemError.of("forward in float64", error) from error
    if not isinstance(answer, Tensor) or answer.dtype != torch.float64:
        kind = str(answer.dtype) if isinstance(answer, Tensor) else type(answer).__name__
        raise ProblemError("type", f"forward answers {kind} to float64 tensors; allowed float64")
    return answer


def _check_function(
    problem: Problem, models: Sequence[nn.Module], tensors: dict[str, Tensor], answer: Tensor
) -> None:
    """Raise ProblemError if the answer is not made of the tensors alone."""
    torch.manual_seed(SEEDS[1])
    if not _alike(_call(problem, models[0], tensors), answer, 0):
        detail = (
            "called twice on the same tensors the reference answers otherwise: it is random, or has state"
        )
        raise ProblemError("not-a-function", detail)
    if not _alike(_call(problem, models[1], tensors), answer, 0):
        detail = "two models of the same parameters answer otherwise: something random is no parameter"
        raise ProblemError("not-a-function", detail)


def _find_rows(
    problem: Problem, model: nn.Module, tensors: dict[str, Tensor], answer: Tensor
) -> tuple[str, ...]:
    """Return the inputs that have N, if each item's answer comes of its own item alone; none otherwise."""
    free = tuple(each.name for each in problem.inputs if each.is_free)
    if not free or problem.output[:1] != ("N",):
        return ()
    for number in range(len(answer)):
        alone = {
            name: values[number : number + 1] if name in free else values for name, values in tensors.items()
        }
        if not _alike(_call(problem, model, alone), answer[number : number + 1], TOLERANCE):
            return ()
    return free


def _alike(got: Tensor, expected: Tensor, tolerance: float) -> bool:
    return got.shape == expected.shape and torch.allclose(
        got, expected, rtol=tolerance, atol=tolerance, equal_nan=True
    )
