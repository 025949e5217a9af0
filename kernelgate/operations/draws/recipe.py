"""What the tensors of one call hold, as the judge tells a worker."""

import msgspec

ByName = tuple[tuple[str, int], ...]
"""A number for each of some tensors, by name."""

BATCH = "batch"
FEATURES = "features"
"""What a recipe may shuffle: items along N, or what `Relations.features` permutes."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tensors of a call hold. The same recipe makes the same bits on every machine.

    `exponents` scale tensors by powers of two, and with them the answer by `answer_exponent`. Of a batch over
    `pool`, items repeat in a drawn order; `first` skips items, so that a recipe can be a slice of another.
    Parameters are drawn from `seeds` of their own where they have one, and the second half of a matrix, or of
    filters, from `half_seed`. Where `near` names a number, values are drawn around that instead of by the
    family. Parameters that are `absent` are None to the model, and zero to the truth. Of a
    `grey` picture all channels are the first. Where one item is `infinite`, all of its values are.
    """

    family: str
    seed: int
    batch: int
    first: int = 0
    pool: int = 64
    exponents: ByName = ()
    answer_exponent: int = 0
    shuffled: str = ""
    absent: tuple[str, ...] = ()
    seeds: ByName = ()
    half_seed: int | None = None
    near: str = ""
    grey: bool = False
    infinite: bool = False

    def seed_of(self, name: str) -> int:
        """Return the seed that a parameter is drawn from."""
        return dict(self.seeds).get(name, self.seed)

    def exponent_of(self, name: str) -> int:
        """Return the power of two that a tensor is scaled by."""
        return dict(self.exponents).get(name, 0)
