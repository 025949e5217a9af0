"""The families of values in plain PyTorch, for a script that shows a fault without the gate."""

import msgspec

NORMAL = "torch.randn(shape, generator=g)"
TAPS = "torch.randint(-1024, 1025, shape, generator=g).float()"
NEW_LAYER = "(2 * torch.rand(shape, generator=g) - 1) / 363**0.5"
INTEGER = "torch.randint(-8, 9, shape, generator=g).float()"
PHASE = "torch.rand((shape[0], 2, 1), generator=g) * 2 * math.pi"
WAVES = f"torch.sin(torch.linspace(0, 2 * math.pi, shape[-1]) + {PHASE})"

HOT = """
def hot(shape, g):
    place = [int(torch.randint(0, size, (), generator=g)) for size in shape]
    if torch.randint(0, 2, (), generator=g):
        place[-2:] = [place[-2] % 2 * (shape[-2] - 1), place[-1] % 2 * (shape[-1] - 1)]
    return torch.zeros(shape).index_put([torch.tensor(axis) for axis in place], torch.tensor(1.0))
"""
SPECIAL = """
def special(shape, g, count, margin=0):
    values, margins = torch.randn(shape, generator=g), ([0] * 2 + [margin] * 2)[-len(shape):]
    values[tuple(margins)] = math.nan
    for _ in range(count - 1):
        place = [int(torch.randint(m, size - m, (), generator=g)) for size, m in zip(shape, margins)]
        values[tuple(place)] = [math.nan, math.inf, -math.inf][torch.randint(0, 3, (), generator=g)]
    return values
"""


class PlainDraw(msgspec.Struct, frozen=True, kw_only=True):
    """Expressions of `shape` and generator `g` that give the same bits as a family; `helper` they call."""

    image: str
    weight: str = NORMAL
    bias: str = NORMAL
    helper: str = ""


PLAIN_DRAWS: dict[str, PlainDraw] = {
    "normal": PlainDraw(image=NORMAL),
    "uniform": PlainDraw(image="torch.rand(shape, generator=g)"),
    "new-layer": PlainDraw(image=NORMAL, weight=NEW_LAYER, bias=NEW_LAYER),
    "integer": PlainDraw(image=INTEGER, weight=INTEGER, bias=INTEGER),
    "zero": PlainDraw(image="torch.zeros(shape)"),
    "one-hot": PlainDraw(image="hot(shape, g)", weight=TAPS, bias=TAPS, helper=HOT),
    "one-hot-weight": PlainDraw(
        image=TAPS,
        weight="torch.stack([hot(shape[1:], g) for _ in range(shape[0])])",
        bias=TAPS,
        helper=HOT,
    ),
    "constant": PlainDraw(
        image="torch.full(shape, torch.randint(64, 193, (), generator=g).item() / 128)",
    ),
    "sparse": PlainDraw(
        image="(torch.rand(shape, generator=g) < 0.01) * torch.randn(shape, generator=g)",
    ),
    "smooth": PlainDraw(image=f"(lambda w: w[:, 0, :, None] * w[:, 1, None, :])({WAVES})"),
    "cancelling": PlainDraw(
        image="(4 + 0.01 * torch.randn(shape, generator=g)) * (1 - 2 * (torch.arange(shape[-1]) % 2))",
    ),
    "channel-range": PlainDraw(
        image="torch.exp2(torch.randint(-10, 11, shape[:1], generator=g).float())[:, None, None] "
        "* torch.randn(shape, generator=g)",
    ),
    "wide-range": PlainDraw(
        image="torch.exp2(torch.randint(-12, 13, shape, generator=g).float()) "
        "* torch.randn(shape, generator=g)",
    ),
    "magnitudes": PlainDraw(
        image="torch.randn(shape, generator=g) * torch.tensor([1, 2**-22, 2**-44, 2**-66])"
        "[torch.randperm(4, generator=g)].repeat_interleave(-(-shape[-1] // 4))[: shape[-1]]",
        bias="torch.zeros(shape)",
    ),
    "tiny": PlainDraw(image=f"{NORMAL} * 2.0**-60", bias=f"{NORMAL} * 2.0**-60"),
    "huge": PlainDraw(image=f"{NORMAL} * 2.0**60", bias=f"{NORMAL} * 2.0**60"),
    "special": PlainDraw(image="special(shape, g, 40)", helper=SPECIAL),
    "special-weight": PlainDraw(
        image="torch.where(torch.arange(shape[1])[:, None] < shape[1] // 4, "
        "torch.randn(shape, generator=g), 0.0)",
        weight="special(shape, g, 4, 2)",
        bias="special(shape, g, 2)",
        helper=SPECIAL,
    ),
}
"""By the name of the family. A family without an entry has no script."""

PLAIN_LAYOUTS: dict[str, str] = {
    "contiguous": "x",
    "channels-last": "x.contiguous(memory_format=torch.channels_last)",
    "every-second-image": "torch.stack([x, x * math.nan], 1).flatten(0, 1)[::2]",
    "column-slice": "torch.nn.functional.pad(x, (8, 8), value=math.nan)[..., 8:-8]",
    "offset": "torch.nn.functional.pad(x.flatten(), (1024, 1024), value=math.nan)[1024:-1024].view(x.shape)",
    "odd-offset": "torch.nn.functional.pad(x.flatten(), (1, 1), value=math.nan)[1:-1].view(x.shape)",
    "expanded": "x[:1].expand(x.shape)",
    "grey": "x[:, :1].clone().expand(x.shape)",
    "transposed": "x.transpose(2, 3).contiguous().transpose(2, 3)",
}
"""Expressions that lay x out, on the device where it lies."""
