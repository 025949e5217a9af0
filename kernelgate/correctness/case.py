"""One example of the correctness stage: what is drawn, and the text that draws it again."""

from typing import TYPE_CHECKING

import msgspec

from kernelgate.operations.draws.recipe import Recipe

if TYPE_CHECKING:  # it imports PyTorch, which a report that holds a case does not need
    from kernelgate.operations.declaration.operation import Operation

SEED_LIMIT = 2**63
"""What a seed may be; the text of a case holds it."""

CONTIGUOUS = "contiguous"
EXPANDED = "expanded"
GREY = "grey"
LAYOUTS = (
    CONTIGUOUS,
    "channels-last",
    "every-second-item",
    "column-slice",
    "offset",
    "odd-offset",
    EXPANDED,
    GREY,
    "transposed",
)
"""How inputs lie in memory. Beside what belongs to one lies NaN. Expanded, one item is the whole batch; grey,
one channel of a picture is every channel.
"""

PICTURE_RANK = 4

NO_RELATION = "none"
"""The relation of a case that is there for its values alone."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One drawn example. The same case makes the same tensors on every machine of one torch version."""

    batch: int
    family: str
    seed: int
    pin: int
    programs: int = 0
    layout: str = CONTIGUOUS
    relation: str = NO_RELATION
    near: str = ""
    """Near which number values are drawn, as `parse_near` reads it, instead of by the family."""

    @property
    def recipe(self) -> Recipe:
        """The tensors of a plain call; the case's relation makes its calls from that one."""
        recipe = Recipe(family=self.family, seed=self.seed, batch=self.batch, near=self.near)
        if self.layout == GREY:
            return msgspec.structs.replace(recipe, grey=True)
        return msgspec.structs.replace(recipe, pool=1) if self.layout == EXPANDED else recipe

    @property
    def replay(self) -> str:
        """The case as `--replay` takes it."""
        fields = msgspec.structs.asdict(self).items()
        return ",".join(f"{field}={value}" for field, value in fields if field != "near" or value)

    @property
    def simplicity(self) -> tuple[int, ...]:
        """Sorts cases: small batches first, then early families, layouts, relations and seeds."""
        return (
            self.batch,
            _families().index(self.family),
            LAYOUTS.index(self.layout),
            _relations().index(self.relation),
            self.seed,
        )

    def __str__(self) -> str:
        extent = f"{self.programs} sampled programs" if self.programs else "all programs"
        values = f"near {self.near}" if self.near else self.family
        parts = [f"N={self.batch}", values, f"config {self.pin}", extent, f"seed {self.seed}"]
        parts += [self.layout] if self.layout != CONTIGUOUS else []
        parts += [self.relation] if self.relation != NO_RELATION else []
        return ", ".join(parts)


def recipe_of(operation: "Operation", case: Case) -> Recipe:
    """Return the tensors of the case's plain call.

    Only items that lie one after the other are repeated. Within a row, what is largest or comes first would
    be so among the first few columns, however long the row is.
    """
    if operation.has_items:
        return case.recipe
    return msgspec.structs.replace(case.recipe, pool=max(case.recipe.pool, case.batch))


def layouts_for(operation: "Operation") -> tuple[str, ...]:
    """Return the layouts of an operation's inputs.

    Only pictures have channels that can come last or be alike, and only where N comes first can one item be
    the batch.
    """
    ranks = {len(each.shape) for each in operation.inputs if each.is_free}
    if not ranks:  # a layout is one of inputs that have N
        return (CONTIGUOUS,)
    unfit = set() if ranks == {PICTURE_RANK} else {"channels-last", GREY}
    unfit |= set() if operation.has_items else {EXPANDED}
    unfit |= set() if min(ranks) > 1 else {"transposed"}
    return tuple(each for each in LAYOUTS if each not in unfit)


def parse_case(text: str) -> Case:
    """Return the case of a `--replay` text; raises ValueError that says what is wrong with it."""
    try:
        fields = dict(part.split("=", 1) for part in text.split(","))
        case = msgspec.convert(fields, Case, strict=False)
        if case.near:
            _check_near(case.near)
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"not a case: {text!r}: {error}") from error
    families, relations = _families(), _relations()
    counts = min(case.batch, case.seed + 1, case.pin + 1, case.programs + 1)
    known = case.family in families and case.layout in LAYOUTS and case.relation in relations
    if not known or counts < 1 or case.seed >= SEED_LIMIT:
        raise ValueError(
            f"not a case: {text!r}: families are {', '.join(families)}; layouts {', '.join(LAYOUTS)}; "
            f"relations {', '.join(relations)}; counts start at 0, N at 1"
        )
    return case


def _check_near(text: str) -> None:
    """Raise ValueError if this is no number near which values are drawn."""
    from kernelgate.operations.draws.near_values import parse_near  # noqa: PLC0415 - imports PyTorch, as below

    parse_near(text)


def _families() -> tuple[str, ...]:
    """Return the names of the families of values, the simplest first."""
    # It imports PyTorch, which a report that holds a case does not need.
    from kernelgate.operations.draws.values import ALL_FAMILIES  # noqa: PLC0415

    return ALL_FAMILIES


def _relations() -> tuple[str, ...]:
    """Return the names of the relations, the plain case first."""
    from kernelgate.correctness.relations import RELATIONS  # noqa: PLC0415 - as above

    return tuple(RELATIONS)
