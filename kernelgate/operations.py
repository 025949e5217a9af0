"""What is computed, and trusted: the geometry of each operation, its work and its traffic."""

import math
from typing import Literal

import msgspec

MAX_OUTPUT_ELEMENTS = 2**31 - 1
"""int32 offsets end here: the domain of an operation is every batch whose output is no larger."""


class KernelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One autotune configuration: compile-time blocks, warps a program, pipeline stages."""

    blocks: dict[str, int | str]
    num_warps: int
    num_stages: int
    num_ctas: int = 1
    max_registers: int | None = None

    def __str__(self) -> str:
        blocks = "/".join(str(size) for size in self.blocks.values())
        text = f"{blocks}, " if blocks else ""
        text += f"{self.num_warps} warps, {self.num_stages} stages"
        text += f", {self.num_ctas} blocks a cluster" if self.num_ctas != 1 else ""
        return text + (f", {self.max_registers} registers at most" if self.max_registers else "")


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """A 2-d convolution, NCHW, float32 in and out, with one fixed geometry and any batch in its domain.

    `math` is the least precise arithmetic that its products may be formed in.
    """

    name: str
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

    @property
    def out_size(self) -> int:
        """Height and width of the output, in pixels."""
        return (self.in_size + 2 * self.padding - self.kernel_size) // self.stride + 1

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

    def input_shape(self, batch: int) -> tuple[int, int, int, int]:
        """Return [N, C_in, H, W]."""
        return batch, self.in_channels, self.in_size, self.in_size

    def output_shape(self, batch: int) -> tuple[int, int, int, int]:
        """Return [N, C_out, OH, OW]."""
        return batch, self.out_channels, self.out_size, self.out_size

    def flops(self, batch: int) -> int:
        """Return the floating-point operations of products and sums; the bias is not counted."""
        return 2 * math.prod(self.output_shape(batch)) * self.reduction

    def min_bytes(self, batch: int) -> int:
        """Return the fewest bytes that must cross device memory: each tensor read or written once."""
        elements = math.prod(self.input_shape(batch)) + math.prod(self.output_shape(batch))
        return 4 * (elements + math.prod(self.weight_shape) + self.out_channels)


ALEXNET_CONV1 = Convolution(
    name="alexnet_conv1",
    in_channels=3,
    out_channels=96,
    in_size=224,
    kernel_size=11,
    stride=4,
    padding=2,
    measured_batch=256,
    math="tf32",
    # The grid of 48400 programs that the first profile shows at N = 256 comes from these blocks only.
    original_config=KernelConfig(
        blocks={"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2
    ),
    # The first kernel lists these blocks twice; its unrolled loop compiles both to the same code.
    original_stages=(1, 2),
    original_sha256="2c6ccc12ad1d5660ad32156cc260669802e1996005a7f659f2cc97418bf8e494",
)

OPERATIONS = {operation.name: operation for operation in (ALEXNET_CONV1,)}


def find_operation(name: str) -> Convolution:
    """Return the operation of that name; raises KeyError that lists the known ones."""
    try:
        return OPERATIONS[name]
    except KeyError:
        known = ", ".join(sorted(OPERATIONS))
        raise KeyError(f"unknown operation {name!r}; known: {known}") from None
