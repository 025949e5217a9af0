"""AlexNet's first convolution."""

from kernelgate.operations.declaration.convolution import declare_convolution
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Original
from kernelgate.operations.truth.convolution import Convolution

ALEXNET_CONV1 = declare_convolution(
    "alexnet_conv1",
    Convolution(in_channels=3, out_channels=96, in_size=224, kernel_size=11, stride=4, padding=2),
    measured_batch=256,
    layer="conv1",
    model_arguments={"num_classes": 1000},
    original=Original(
        sha256="2c6ccc12ad1d5660ad32156cc260669802e1996005a7f659f2cc97418bf8e494",
        # The grid of 48400 programs that the first profile shows at N = 256 comes from these blocks only.
        config=KernelConfig(blocks={"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2),
        # The first kernel lists these blocks twice; its unrolled loop compiles both to the same code.
        stages=(1, 2),
    ),
)
