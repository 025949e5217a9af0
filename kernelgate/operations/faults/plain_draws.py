"""The families of values in plain PyTorch, for a script that shows a fault without the gate."""

import msgspec

NORMAL = "torch.randn(shape, generator=g)"
TAPS = "torch.randint(-1024, 1025, shape, generator=g).float()"
NEW_LAYER = "(2 * torch.rand(shape, generator=g) - 1) / {fan_in}**0.5"
INTEGER = "torch.randint(-8, 9, shape, generator=g).float()"

HOT = """
def hot(shape, g):
    place = [int(torch.randint(0, size, (), generator=g)) for size in shape]
    if torch.randint(0, 2, (), generator=g):
        place[-2:] = [axis % 2 * (size - 1) for axis, size in zip(place[-2:], shape[-2:])]
    values = torch.zeros(shape)
    values[tuple(place)] = 1
    return values
"""
SMOOTH = """
def smooth(shape, g):
    phase = torch.rand((math.prod(shape[:-2]), 2, 1), generator=g) * 2 * math.pi
    y, x = (torch.linspace(0, 2 * math.pi, size) for size in (1, 1, *shape)[-2:])
    return (torch.sin(y + phase[:, 0])[:, :, None] * torch.sin(x + phase[:, 1])[:, None]).reshape(shape)
"""
SPECIAL = """
def special(shape, g, count, margin=0):
    inner = [min(margin, (size - 1) // 2) for size in shape[-2:]]
    values, margins = torch.randn(shape, generator=g), [0] * (len(shape) - len(inner)) + inner
    values[tuple(margins)] = math.nan
    for _ in range(count - 1):
        place = [int(torch.randint(m, size - m, (), generator=g)) for size, m in zip(shape, margins)]
        values[tuple(place)] = [math.nan, math.inf, -math.inf][torch.randint(0, 3, (), generator=g)]
    return values
"""

HALF_BLACK = """
def half_black(shape, g):
    values, axis = torch.randn(shape, generator=g), min(1, len(shape) - 1)
    values.narrow(axis, shape[axis] // 4, shape[axis] - shape[axis] // 4).zero_()
    return values
"""


class PlainDraw(msgspec.Struct, frozen=True, kw_only=True):
    """Expressions of `shape` and generator `g` that give the same bits as a family; `helper` they call."""

    x: str
    weight: str = NORMAL
    bias: str = NORMAL
    helper: str = ""


PLAIN_DRAWS: dict[str, PlainDraw] = {
    "normal": PlainDraw(x=NORMAL),
    "uniform": PlainDraw(x="torch.rand(shape, generator=g)"),
    "new-layer": PlainDraw(x=NORMAL, weight=NEW_LAYER, bias=NEW_LAYER),
    "integer": PlainDraw(x=INTEGER, weight=INTEGER, bias=INTEGER),
    "zero": PlainDraw(x="torch.zeros(shape)"),
    "one-hot": PlainDraw(x="hot(shape, g)", weight=TAPS, bias=TAPS, helper=HOT),
    "one-hot-weight": PlainDraw(
        x=TAPS,
        weight="torch.stack([hot(shape[1:], g) for _ in range(shape[0])])",
        bias=TAPS,
        helper=HOT,
    ),
    "constant": PlainDraw(
        x="torch.full(shape, torch.randint(64, 193, (), generator=g).item() / 128)",
    ),
    "sparse": PlainDraw(
        x="(torch.rand(shape, generator=g) < 0.01) * torch.randn(shape, generator=g)",
    ),
    "smooth": PlainDraw(x="smooth(shape, g)", helper=SMOOTH),
    "cancelling": PlainDraw(
        x="(4 + 0.01 * torch.randn(shape, generator=g)) * (1 - 2 * (torch.arange(shape[-1]) % 2))",
    ),
    "channel-range": PlainDraw(
        x="torch.exp2(torch.randint(-10, 11, shape[:1], generator=g).float())"
        ".reshape(-1, *[1] * (len(shape) - 1)) * torch.randn(shape, generator=g)",
    ),
    "wide-range": PlainDraw(
        x="torch.exp2(torch.randint(-12, 13, shape, generator=g).float()) * torch.randn(shape, generator=g)",
    ),
    "magnitudes": PlainDraw(
        x="torch.randn(shape, generator=g) * torch.tensor([1, 2**-22, 2**-44, 2**-66])"
        "[torch.randperm(4, generator=g)].repeat_interleave(-(-shape[-1] // 4))[: shape[-1]]",
        bias="torch.zeros(shape)",
    ),
    "far-above-zero": PlainDraw(x=f"{NORMAL} + 1000"),
    "far-below-zero": PlainDraw(x=f"{NORMAL} - 1000"),
    "tiny": PlainDraw(x=f"{NORMAL} * 2.0**-60", bias=f"{NORMAL} * 2.0**-60"),
    "huge": PlainDraw(x=f"{NORMAL} * 2.0**60", bias=f"{NORMAL} * 2.0**60"),
    "special": PlainDraw(x="special(shape, g, 40)", helper=SPECIAL),
    "special-weight": PlainDraw(
        x="half_black(shape, g)",
        weight="special(shape, g, 4, 2)",
        bias="special(shape, g, 2)",
        helper=SPECIAL + HALF_BLACK,
    ),
}
"""By the name of the family. A family without an entry has no script."""

PLAIN_LAYOUTS: dict[str, str] = {
    "contiguous": "x",
    "channels-last": "x.contiguous(memory_format=torch.channels_last)",
    "every-second-item": "torch.stack([x, x * math.nan], 1).flatten(0, 1)[::2]",
    "column-slice": "torch.nn.functional.pad(x, (8, 8), value=math.nan)[..., 8:-8]",
    "offset": "torch.nn.functional.pad(x.flatten(), (1024, 1024), value=math.nan)[1024:-1024].view(x.shape)",
    "odd-offset": "torch.nn.functional.pad(x.flatten(), (1, 1), value=math.nan)[1:-1].view(x.shape)",
    "expanded": "x[:1].expand(x.shape)",
    "grey": "x[:, :1].clone().expand(x.shape)",
    "transposed": "x.transpose(-2, -1).contiguous().transpose(-2, -1)",
}
"""Expressions that lay x out, on the device where it lies."""
