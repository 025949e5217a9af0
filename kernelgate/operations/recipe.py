"""What the tensors of one call hold, as the judge tells a worker."""

import msgspec


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tensors of a call hold. The same recipe makes the same bits on every machine.

    Exponents scale by powers of two: x's also the bias, the weight's too. Of a batch over `pool`, images
    repeat in a drawn order; `first` skips images, so that a recipe can be a slice of another. Weight, bias
    and the second half of the filters are drawn from seeds of their own where they have one. Where `near`
    names a number, values are drawn around that instead of by the family. Of a `grey` image all channels are
    the first.
    """

    family: str
    seed: int
    batch: int
    first: int = 0
    pool: int = 64
    x_exponent: int = 0
    weight_exponent: int = 0
    shuffled_images: bool = False
    shuffled_channels: bool = False
    bias: bool = True
    weight_seed: int | None = None
    bias_seed: int | None = None
    half_seed: int | None = None
    near: str = ""
    grey: bool = False
