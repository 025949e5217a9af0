"""A script that shows a wrong element with PyTorch and the kernel file alone."""

import msgspec
import numpy as np

from kernelgate.operations.declaration.argument import Argument, Shape
from kernelgate.operations.declaration.error_model import STORED_UNITS
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.faults.plain_draws import PLAIN_DRAWS, PLAIN_LAYOUTS, PlainDraw
from kernelgate.operations.truth.truth import unravel

PIN = """for each in vars(kernel).values():  # the configuration of the case alone
    if hasattr(each, "configs"):
        each.configs = [each.configs[{pin} % len(each.configs)]]"""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a script shows: one call of a kernel file, and the element of the answer that is wrong."""

    title: str
    kernel: str
    recipe: Recipe
    layout: str
    pin: int | None
    offset: int
    is_exact: bool


def has_script(recipe: Recipe, layout: str) -> bool:
    """Whether plain PyTorch makes the tensors of a recipe: those of a plain call of a known family."""
    plain = Recipe(
        family=recipe.family, seed=recipe.seed, batch=recipe.batch, pool=recipe.pool, grey=recipe.grey
    )
    same_seeds = {seed for _, seed in recipe.seeds} | {recipe.half_seed} <= {None, recipe.seed}
    is_plain = same_seeds and msgspec.structs.replace(recipe, seeds=(), half_seed=None) == plain
    return is_plain and recipe.family in PLAIN_DRAWS and layout in PLAIN_LAYOUTS


def render_script(operation: Operation, shown: Shown) -> str:
    """Return the script, which makes the very tensors of the call.

    It looks at the item that is wrong, or at the whole answer where items depend on each other.
    """
    place = [int(axis) for axis in unravel(operation, np.array([shown.offset]), shown.recipe.batch)]
    names = [each.name for each in operation.arguments]
    looked_at, part, at, whose = names, "", place, "the answer"
    if operation.has_items:
        of_item = f"[{place[0]} : {place[0] + 1}]"
        looked_at = [each.name + of_item if each.is_free else each.name for each in operation.arguments]
        part, at, whose = "[0]", place[1:], f"{operation.output_axes[0]} {place[0]}"
    truth, scale = operation.reference.script()
    lines = [
        f'"""{shown.title}: run it on an NVIDIA GPU with `python reproduce.py [KERNEL_FILE]`."""',
        "import importlib.util, math, random, sys",
        "import torch",
        f'spec = importlib.util.spec_from_file_location("kernel", (sys.argv[1:] or [{shown.kernel!r}])[0])',
        "kernel = importlib.util.module_from_spec(spec)",
        "spec.loader.exec_module(kernel)",
        *([PIN.format(pin=shown.pin)] if shown.pin is not None else []),
        *_tensors(operation, shown.recipe, PLAIN_DRAWS[shown.recipe.family]),
        *_stored(operation),
        *(["x = x[:, :1].repeat(1, x.shape[1], 1, 1)"] if shown.recipe.grey else []),
        *_model(operation, shown.layout),
        *_call(operation, shown.layout, f"[{place[0]}]" if operation.has_items else ""),
        f"[{', '.join(names)}] = [each.cpu().double() for each in ({', '.join(looked_at)},)]",
        f"exact, scale = ({truth}){part}, ({scale}){part}",
        "same = (got == exact) | (got.isnan() & exact.isnan())",
        f"wrong = ~(same | ((got - exact).abs() <= {_allowed(operation, shown)}))",
        f"at = {tuple(at)}",
        f'print(f"out{place}: got {{got[at]:.9g}}, exact {{exact[at]:.9g}}; "',
        f'      f"{{int(wrong.sum())}} of {{wrong.numel()}} elements of {whose} are wrong")',
    ]
    return "\n".join(lines) + "\n"


def _stored(operation: Operation) -> list[str]:
    """Return what rounds the tensors to the operation's element type."""
    names = [each.name for each in operation.arguments if operation.dtype != "float32"]
    return [f"{name} = {name}.to(torch.{operation.dtype})" for name in names]


def _allowed(operation: Operation, shown: Shown) -> str:
    scaled = "0 * scale" if shown.is_exact else "0.002 * scale"
    stored = STORED_UNITS[operation.dtype]
    return scaled if operation.dtype == "float32" else f"{scaled} + {stored} * exact.abs()"


def _model(operation: Operation, layout: str) -> list[str]:
    """Return what makes the model and fills its parameters, each the one of its shape."""
    lines = ["model = kernel.ModelNew().cuda()"]
    if layout == "channels-last":
        lines.append("model.to(memory_format=torch.channels_last)")
    if operation.parameters:
        names = ", ".join(each.name for each in operation.parameters)
        lines += [
            f"given = [{names}]",
            "for parameter in model.parameters():",
            "    fits = [each for each in given if each.shape == parameter.shape]",
            "    if fits:",
            "        parameter.data.copy_(fits[0])",
            "        given = [each for each in given if each is not fits[0]]",
        ]
    return lines


def _call(operation: Operation, layout: str, item: str) -> list[str]:
    names = [each.name for each in operation.inputs]
    laid = [PLAIN_LAYOUTS[layout] if name == "x" else name for name in names]
    moved = [f"{name} = {name}.cuda()" for name in names]
    return [*moved, f"got = model({', '.join(laid)}){item}.detach().cpu().double()"]


def _applied(draw: str, shape: Shape, role: str) -> str:
    """Return the expression of a draw for one shape and seed; a function where a generator is used twice."""
    if draw.count("g)") == 1 and "generator=g" in draw and "shape[" not in draw:
        return draw.replace("generator=g", f"generator=seeded({role})").replace("shape", str(shape))
    if "g)" not in draw and "g," not in draw and "shape[" not in draw:
        return draw.replace("shape", str(shape))
    return f"(lambda shape, g: {draw})({shape}, seeded({role}))"


def _tensors(operation: Operation, recipe: Recipe, draw: PlainDraw) -> list[str]:
    return [
        "def seeded(role):",
        f'    return torch.Generator().manual_seed(random.Random(f"{recipe.seed} {{role}}").getrandbits(62))',
        *draw.helper.strip().splitlines(),
        *(line for each in operation.arguments for line in _tensor(operation, recipe, draw, each)),
    ]


def _tensor(operation: Operation, recipe: Recipe, draw: PlainDraw, argument: Argument) -> list[str]:
    """Return the lines that make one tensor of the call."""
    name, draws = argument.name, {"x": draw.x, "weight": draw.weight, "bias": draw.bias}
    of_role = draws[argument.role].replace("{fan_in}", str(operation.fan_in))
    if not argument.is_free:
        return [f"{name} = {_applied(of_role, argument.shape_at(1), repr(name))}"]
    label = "n" if argument is operation.inputs[0] else f'f"{name} {{n}}"'
    item = tuple(extent for extent in argument.shape if isinstance(extent, int))
    drawn, axis = _applied(of_role, item, label), argument.axis
    along = f", dim={axis}" if axis else ""
    lines = [f"{name} = torch.stack([{drawn} for n in range({min(recipe.batch, recipe.pool)})]{along})"]
    if (beyond := recipe.batch - recipe.pool) > 0:
        more = f'torch.randint(0, {recipe.pool}, ({beyond},), generator=seeded("pool"))'
        places = f"torch.cat([torch.arange({recipe.pool}), {more}])"
        lines.append(f"{name} = {name}[{':, ' * axis}{places}]")
    return lines
