"""A tensor that an operation takes."""

from typing import Literal

import msgspec

Extent = int | Literal["N"]
Shape = tuple[int, ...]

Role = Literal["x", "weight", "bias"]
"""How values are drawn: item by item along N, as what is multiplied by, as what is added."""

Dtype = Literal["float32", "bfloat16"]
"""The element type of all tensors of an operation, in and out."""

ELEMENT_BYTES: dict[Dtype, int] = {"float32": 4, "bfloat16": 2}


class Argument(msgspec.Struct, frozen=True):
    """An input of `forward`, or a parameter of the model.

    `N` in its shape is the free size: batch, rows, tokens, or the length of a row. `stored_as` is the name of
    a parameter in `state_dict`, if that is another one. An `optional` parameter may be absent (None).
    `drawn_as` is how its values are drawn, if that is not what its shape suggests.
    """

    name: str
    shape: tuple[Extent, ...]
    stored_as: str = ""
    optional: bool = False
    drawn_as: Role | None = None

    @property
    def is_free(self) -> bool:
        """Whether the tensor has the free size: then each of its items is drawn by itself."""
        return "N" in self.shape

    @property
    def axis(self) -> int:
        """The axis of the free size; raises ValueError where there is none."""
        return self.shape.index("N")

    @property
    def role(self) -> Role:
        """How its values are drawn."""
        if self.is_free or self.drawn_as:
            return self.drawn_as or "x"
        return "weight" if len(self.shape) > 1 else "bias"

    def shape_at(self, batch: int) -> Shape:
        """Return the shape where the free size is `batch`."""
        return resolve(self.shape, batch)


def resolve(shape: tuple[Extent, ...], batch: int) -> Shape:
    """Return a shape where the free size is `batch`."""
    return tuple(batch if extent == "N" else extent for extent in shape)
