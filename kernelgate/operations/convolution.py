"""A 2-d convolution: its geometry, its work and its traffic."""

import math
from typing import Literal

import msgspec

from kernelgate.operations.kernel_config import KernelConfig

Algorithm = Literal["direct", "any"]
"""How the products may be formed: one for each tap, or fewer behind transforms, as Winograd's are."""

MAX_OUTPUT_ELEMENTS = 2**31 - 1
"""int32 offsets end here: the domain of an operation is every batch whose output is no larger."""


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """A 2-d convolution, NCHW, float32 in and out, with one fixed geometry and any batch in its domain.

    `math` is the least precise arithmetic that its products may be formed in. `layer` is what models
    call it, `model_arguments` what such a model may have to be made with. `direct_laws` names the laws that
    hold for the direct algorithm only: an answer is held to them unless it may come by any `algorithm`.
    """

    name: str
    layer: str
    model_arguments: dict[str, int]
    in_channels: int
    out_channels: int
    in_size: int
    kernel_size: int
    stride: int
    padding: int
    measured_batch: int
    math: Literal["tf32"]
    original_config: KernelConfig
    original_stages: tuple[int, ...]
    original_sha256: str
    direct_laws: tuple[str, ...]
    algorithm: Algorithm = "direct"

    @property
    def out_size(self) -> int:
        """Height and width of the output, in pixels."""
        return (self.in_size + 2 * self.padding - self.kernel_size) // self.stride + 1

    @property
    def output_axes(self) -> tuple[str, str, str, str]:
        """What the axes of the output are called, N, C_out, OH, OW."""
        return "image", "channel", "row", "column"

    @property
    def padded_places(self) -> tuple[int, ...]:
        """The rows of the output, and likewise the columns, that have taps in the padding."""
        starts = ((place, place * self.stride - self.padding) for place in range(self.out_size))
        return tuple(p for p, first in starts if first < 0 or first + self.kernel_size > self.in_size)

    @property
    def reduction(self) -> int:
        """K: products summed for one output element."""
        return self.in_channels * self.kernel_size**2

    @property
    def max_batch(self) -> int:
        """The largest batch of the domain, the last whose output offsets fit int32."""
        return MAX_OUTPUT_ELEMENTS // (self.out_channels * self.out_size**2)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """[C_out, C_in, KH, KW]."""
        return self.out_channels, self.in_channels, self.kernel_size, self.kernel_size

    @property
    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Shapes of weight and bias, by their names in a model's `state_dict`."""
        return {f"{self.layer}.weight": self.weight_shape, f"{self.layer}.bias": (self.out_channels,)}

    def input_shape(self, batch: int) -> tuple[int, int, int, int]:
        """Return [N, C_in, H, W]."""
        return batch, self.in_channels, self.in_size, self.in_size

    def output_shape(self, batch: int) -> tuple[int, int, int, int]:
        """Return [N, C_out, OH, OW]."""
        return batch, self.out_channels, self.out_size, self.out_size

    def keeps(self, law: str) -> bool:
        """Whether an answer is held to the law as it is for the direct algorithm."""
        return self.algorithm == "direct" or law not in self.direct_laws

    def widened(self, places: int) -> "Convolution":
        """Return the same with so many rows and columns of output more on every side, over padding."""
        return msgspec.structs.replace(self, padding=self.padding + places * self.stride)

    def flops(self, batch: int) -> int:
        """Return the floating-point operations of products and sums; the bias is not counted."""
        return 2 * math.prod(self.output_shape(batch)) * self.reduction

    def min_bytes(self, batch: int) -> int:
        """Return the fewest bytes that must cross device memory: each tensor read or written once."""
        elements = math.prod(self.input_shape(batch)) + math.prod(self.output_shape(batch))
        return 4 * (elements + math.prod(self.weight_shape) + self.out_channels)
