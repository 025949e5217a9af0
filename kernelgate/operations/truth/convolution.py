"""The geometry of a 2-d convolution; PyTorch is imported when its truth is asked for, not before."""

from typing import TYPE_CHECKING

import msgspec

from kernelgate.operations.declaration.error_model import ErrorModel, Math, Multilinear

if TYPE_CHECKING:
    from torch import Tensor

    from kernelgate.operations.truth.reference import Positions, Tensors, Truth


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """The geometry of a 2-d convolution of square images and filters, NCHW, and its truth.

    Tensors are x [N, C_in, H, W], weight [C_out, C_in, KH, KW] and bias [C_out].
    """

    in_channels: int
    out_channels: int
    in_size: int
    kernel_size: int
    stride: int
    padding: int

    @property
    def out_size(self) -> int:
        """Height and width of the output, in pixels."""
        return (self.in_size + 2 * self.padding - self.kernel_size) // self.stride + 1

    @property
    def reduction(self) -> int:
        """K: products summed for one output element."""
        return self.in_channels * self.kernel_size**2

    @property
    def math(self) -> Math:
        """Products in TF32, sums in float32."""
        return "tf32"

    @property
    def error_model(self) -> ErrorModel:
        """A sum of `reduction` products, and the bias."""
        return Multilinear(self.reduction)

    @property
    def vendor_name(self) -> str:
        """Whose code the vendor's answer is."""
        return "cuDNN, TF32 allowed"

    @property
    def padded_places(self) -> tuple[int, ...]:
        """The rows of the output, and likewise the columns, that have taps in the padding."""
        starts = ((place, place * self.stride - self.padding) for place in range(self.out_size))
        return tuple(p for p, first in starts if first < 0 or first + self.kernel_size > self.in_size)

    def widened(self, places: int) -> "Convolution":
        """Return the same with so many rows and columns of output more on every side, over padding."""
        return msgspec.structs.replace(self, padding=self.padding + places * self.stride)

    def everywhere(self, tensors: "Tensors", *, nearby: bool) -> "Truth":
        """Return the truth at every output position, [N, C_out, OH, OW], on the device of the tensors."""
        from kernelgate.operations.truth import patches  # noqa: PLC0415

        return patches.everywhere(self, tensors, nearby=nearby)

    def at(self, tensors: "Tensors", positions: "Positions", *, nearby: bool) -> "Truth":
        """Return the truth at the given output positions, one-dimensional, on the device of the tensors."""
        from kernelgate.operations.truth import patches  # noqa: PLC0415

        return patches.at(self, tensors, positions, nearby=nearby)

    def vendor(self, tensors: "Tensors") -> "Tensor":
        """Return cuDNN's answer, TF32 allowed, its heuristics' choice of algorithm."""
        from kernelgate.operations.truth import patches  # noqa: PLC0415

        return patches.vendor(self, tensors)

    def script(self) -> tuple[str, str]:
        """Return expressions for the truth, and for what errors scale with."""
        call = f"torch.nn.functional.conv2d({{}}, stride={self.stride}, padding={self.padding})"
        return call.format("x, weight, bias"), call.format("x.abs(), weight.abs(), bias.abs()")
