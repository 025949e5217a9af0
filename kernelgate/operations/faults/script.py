"""A script that shows a wrong element with PyTorch and the kernel file alone."""

import msgspec

from kernelgate.operations.convolution import Convolution
from kernelgate.operations.faults.plain_draws import PLAIN_DRAWS, PLAIN_LAYOUTS, PlainDraw
from kernelgate.operations.recipe import Recipe

PIN = """for each in vars(kernel).values():  # the configuration of the case alone
    if hasattr(each, "configs"):
        each.configs = [each.configs[{pin} % len(each.configs)]]"""

QUOTED_WEIGHT, QUOTED_BIAS = '"weight"', '"bias"'


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a script shows: one call of a kernel file, and the element of the answer that is wrong."""

    title: str
    kernel: str
    recipe: Recipe
    layout: str
    pin: int | None
    place: tuple[int, int, int, int]
    is_exact: bool


def has_script(recipe: Recipe, layout: str) -> bool:
    """Whether plain PyTorch makes the tensors of a recipe: those of a plain call of a known family."""
    plain = Recipe(
        family=recipe.family, seed=recipe.seed, batch=recipe.batch, pool=recipe.pool, grey=recipe.grey
    )
    own = {"weight_seed": None, "bias_seed": None, "half_seed": None}
    same_seeds = {recipe.weight_seed, recipe.bias_seed, recipe.half_seed} <= {None, recipe.seed}
    is_plain = same_seeds and msgspec.structs.replace(recipe, **own) == plain
    return is_plain and recipe.family in PLAIN_DRAWS and layout in PLAIN_LAYOUTS


def render_script(operation: Convolution, shown: Shown) -> str:
    """Return the script, which makes the very tensors of the call."""
    draw, recipe, place = PLAIN_DRAWS[shown.recipe.family], shown.recipe, shown.place
    stride, padding = operation.stride, operation.padding
    allowed = "0 * scale" if shown.is_exact else "0.002 * scale"
    lines = [
        f'"""{shown.title}: run it on an NVIDIA GPU with `python reproduce.py [KERNEL_FILE]`."""',
        "import importlib.util, math, random, sys",
        "import torch",
        f'spec = importlib.util.spec_from_file_location("kernel", (sys.argv[1:] or [{shown.kernel!r}])[0])',
        "kernel = importlib.util.module_from_spec(spec)",
        "spec.loader.exec_module(kernel)",
        *([PIN.format(pin=shown.pin)] if shown.pin is not None else []),
        *_tensors(operation, recipe, draw),
        *(["x = x[:, :1].repeat(1, x.shape[1], 1, 1)"] if recipe.grey else []),
        "model = kernel.ModelNew().cuda()",
        *(["model.to(memory_format=torch.channels_last)"] if shown.layout == "channels-last" else []),
        "for parameter in model.parameters():",
        "    parameter.data.copy_(weight if parameter.dim() == 4 else bias)",
        "x = x.cuda()",
        f"got = model({PLAIN_LAYOUTS[shown.layout]})[{place[0]}].detach().cpu().double()",
        f"one, conv2d = x[{place[0]}].cpu().double(), torch.nn.functional.conv2d",
        f"exact = conv2d(one, weight.double(), bias.double(), stride={stride}, padding={padding})",
        "weight, bias = weight.double().abs(), bias.double().abs()",
        f"scale = conv2d(one.abs(), weight, bias, stride={stride}, padding={padding})",
        "same = (got == exact) | (got.isnan() & exact.isnan())",
        f"wrong = ~(same | ((got - exact).abs() <= {allowed}))",
        f"at = {place[1:]}",
        f'print(f"out{list(place)}: got {{got[at]:.9g}}, exact {{exact[at]:.9g}}; "',
        f'      f"{{int(wrong.sum())}} of {{wrong.numel()}} elements of image {place[0]} are wrong")',
    ]
    return "\n".join(lines) + "\n"


def _applied(draw: str, shape: tuple[int, ...], role: str) -> str:
    """Return the expression of a draw for one shape and seed; a function where a generator is used twice."""
    if draw.count("g)") == 1 and "generator=g" in draw and "shape[" not in draw:
        return draw.replace("generator=g", f"generator=seeded({role})").replace("shape", str(shape))
    if "g)" not in draw and "g," not in draw and "shape[" not in draw:
        return draw.replace("shape", str(shape))
    return f"(lambda shape, g: {draw})({shape}, seeded({role}))"


def _tensors(operation: Convolution, recipe: Recipe, draw: PlainDraw) -> list[str]:
    an_image, weight = operation.input_shape(1)[1:], operation.weight_shape
    numbers = f"range({min(recipe.batch, recipe.pool)})"
    lines = [
        "def seeded(role):",
        f'    return torch.Generator().manual_seed(random.Random(f"{recipe.seed} {{role}}").getrandbits(62))',
        *draw.helper.strip().splitlines(),
        f"x = torch.stack([{_applied(draw.image, an_image, 'n')} for n in {numbers}])",
        f"weight = {_applied(draw.weight, weight, QUOTED_WEIGHT)}",
        f"bias = {_applied(draw.bias, (operation.out_channels,), QUOTED_BIAS)}",
    ]
    if (beyond := recipe.batch - recipe.pool) > 0:
        drawn = f'torch.randint(0, {recipe.pool}, ({beyond},), generator=seeded("pool"))'
        lines.append(f"x = x[torch.cat([torch.arange({recipe.pool}), {drawn}])]")
    return lines
