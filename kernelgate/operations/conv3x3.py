"""VGG's 3x3 convolution: 64 to 64 channels of 56 x 56 pixels, stride 1, padding 1."""

from kernelgate.operations.declaration.convolution import declare_convolution
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Original
from kernelgate.operations.truth.convolution import Convolution

CONV3X3 = declare_convolution(
    "conv3x3",
    Convolution(in_channels=64, out_channels=64, in_size=56, kernel_size=3, stride=1, padding=1),
    measured_batch=256,
    # Kernels that turn x first hold a third tensor of its size: so many images fit a card of 24 GB.
    last_batch=4096,
    layer="conv",
    original=Original(
        sha256="e36099e05f6eff6820a56cac503372667115c85c2ae43b0ccea5eda80b8228e3",
        config=KernelConfig(blocks={"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2),
        stages=(2,),
    ),
)
