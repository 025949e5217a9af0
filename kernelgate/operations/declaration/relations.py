"""What holds between answers of an operation, bit for bit: declared as data, tried by the gate."""

import msgspec


class Permutation(msgspec.Struct, frozen=True):
    """These axes of tensors, permuted alike, permute this axis of the output."""

    axes: dict[str, int]
    output: int


class Relations(msgspec.Struct, frozen=True, kw_only=True):
    """The relations of an operation.

    Where the tensors named in `scaled_input` are all multiplied by 2^k, so is the answer; likewise those of
    `scaled_weight`. `features` permutes columns or channels. Items along N are `independent` of each other:
    they can be permuted, and left out.
    """

    scaled_input: tuple[str, ...] = ()
    scaled_weight: tuple[str, ...] = ()
    features: Permutation | None = None
    independent: bool = True
