"""Which size of a problem is free: shapes are tried on PyTorch's meta device, which holds no values."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from kernelgate.operations.declaration.argument import Extent, Shape, resolve

Shapes = tuple[tuple[Extent, ...], ...]

TRIED = (1, 2, 3)
"""Extents at which a size is tried that may be free, as far as they lie below the one given."""

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "convolution", "scaled_dot_product")
"""ATen operators, by how their names begin, that PyTorch computes in TF32 where that is allowed."""


class _SeenOperators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The names of the ATen operators that were called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func.__name__.split(".")[0].lstrip("_"))
        return func(*args, **(kwargs or {}))


class MetaModel:
    """A reference without values: what it returns for inputs of these shapes, and by which operators."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).to("meta")
        self.operators: set[str] = set()

    def __call__(self, shapes: Sequence[Shape]) -> object:
        """Return what the reference returns; whatever it raises passes through."""
        inputs = [torch.empty(shape, device="meta") for shape in shapes]
        with torch.no_grad(), torch.device("meta"), _SeenOperators() as seen:
            answer = self.model(*inputs)
        self.operators |= seen.names
        return answer

    @property
    def forms_products(self) -> bool:
        """Whether a call so far formed products that may be TF32."""
        return any(name.startswith(PRODUCTS) for name in self.operators)


def find_free_size(model: MetaModel, inputs: Sequence[Shape], output: Shape) -> tuple[Shapes, int]:
    """Return the shapes of inputs and output, with N where it is free, and its extent as given; 1 for none.

    N is the first axis of the output, and of all inputs that have the same extent there, or of the first of
    them alone. It is free if the reference then takes other extents.
    """
    fixed = (*inputs, output)
    extent = output[0] if output else 0
    having = [number for number, shape in enumerate(inputs) if shape[:1] == (extent,)]
    for chosen in ({*having}, {*having[:1]}) if having else ():
        shapes = enumerate(inputs)
        taken: Shapes = tuple(("N", *shape[1:]) if number in chosen else shape for number, shape in shapes)
        free: Shapes = (*taken, ("N", *output[1:]))
        if all(_follows(model, free, size) for size in TRIED if size < extent):
            return free, extent
    return fixed, 1


def _follows(model: MetaModel, shapes: Shapes, size: int) -> bool:
    *inputs, output = (resolve(shape, size) for shape in shapes)
    try:
        answer = model(inputs)
    except Exception:  # noqa: BLE001 - another's code: what it raises at is no size of its domain
        return False
    return isinstance(answer, Tensor) and tuple(answer.shape) == output
