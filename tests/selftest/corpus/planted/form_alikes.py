"""Honest kernels in the form in which people and programs write them, such as KernelBench's."""

from tests.selftest.corpus.planted.base import BASE, CALL, LookAlike, changed

IMPORTS = "import torch\nimport torch.nn as nn\nimport triton\nimport triton.language as tl\n"
WRAPPER = "def triton_conv2d_nchw(\n"
MODEL = "class ModelNew(nn.Module):\n"
AFTER_IMPORTS, BODY = BASE.partition(IMPORTS)[2].partition(MODEL)[0], BASE.partition(MODEL)[2]


def with_imports(lines: str, source: str = BASE) -> str:
    """Return the source with further imports."""
    return changed((IMPORTS, f"{lines}{IMPORTS}"), source=source)


def before_model(code: str, source: str = BASE) -> str:
    """Return the source with code of the module before its model."""
    return changed((MODEL, f"{code}\n\n{MODEL}"), source=source)


def with_model(body: str, source: str = BASE) -> str:
    """Return the source with another body of ModelNew."""
    return source.partition(MODEL)[0] + MODEL + body


REFERENCE = """\
class Model(nn.Module):
    def __init__(self, num_classes=1000):
        super(Model, self).__init__()
        self.conv1 = nn.Conv2d(in_channels=3, out_channels=96, kernel_size=11, stride=4, padding=2)

    def forward(self, x):
        x = self.conv1(x)
        return x


# Test code
batch_size = 256
num_classes = 1000


def get_inputs():
    return [torch.rand(batch_size, 3, 224, 224)]


def get_init_inputs():
    return [num_classes]
"""
SCRIPT = """

if __name__ == "__main__":
    import sys

    model, new = Model(*get_init_inputs()).cuda(), ModelNew(*get_init_inputs()).cuda()
    new.load_state_dict(model.state_dict())
    (x,) = (each.cuda() for each in get_inputs())
    assert torch.allclose(model(x), new(x), atol=1e-2), "differs"
    print("ok", triton.testing.do_bench(lambda: new(x)), open(sys.argv[0]).name)
"""
OWN_PARAMETERS = """\
    def __init__(self, num_classes=1000):
        super().__init__()
        self.stride, self.padding = (4, 4), (2, 2)
        self.weight = nn.Parameter(torch.empty(96, 3, 11, 11))
        self.bias = nn.Parameter(torch.empty(96))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(self.weight)
        bound = 1 / math.sqrt(fan_in)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return triton_conv2d_nchw(x, self.weight, self.bias, self.stride[0], self.padding[0])
"""
WRAPPED_LAYER = """\
    def __init__(self, num_classes: int):
        super(ModelNew, self).__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 96, kernel_size=11, stride=4, padding=2))
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        conv = self.features[0]
        return triton_conv2d_nchw(x, conv.weight, conv.bias, conv.stride[0], conv.padding[0])
"""
TWO_NAMES = """\
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 96, 11, stride=4, padding=2)
        self.weight = self.conv.weight
        self.register_parameter("shift", self.conv.bias)

    @torch.no_grad()
    def forward(self, x):
        return triton_conv2d_nchw(x, self.weight, self.shift, *self.conv.stride[:1], *self.conv.padding[:1])
"""
ON_DEVICE = """\
    def __init__(self, num_classes=1000, device="cuda", dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(96, 3, 11, 11, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(96, device=device, dtype=dtype))
        self.register_buffer("steps", torch.tensor(0, device=device))

    def forward(self, x):
        return triton_conv2d_nchw(x, self.weight, self.bias, 4, 2)
"""
FUNCTION = """\
class Conv1(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx, x, weight, bias, stride, padding):
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return triton_conv2d_nchw(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, grad_output):
        raise NotImplementedError
"""
FAKE = """\
@triton_conv2d_nchw.register_fake
def _(x, weight, bias, stride, padding):
    return x.new_empty((x.shape[0], 96, 55, 55))
"""
OPERATOR = '@torch.library.custom_op("alexnet::conv1", mutates_args=())\n'

KERNELBENCH = (
    with_imports(
        "import torch.nn.functional as F\nfrom typing import Optional, Tuple\n",
        changed((MODEL, f"{REFERENCE}\n\n{MODEL.replace('nn.Module', 'Model')}")),
    )
    + SCRIPT
)

FORMS = (
    LookAlike(
        "kernelbench",
        "has the reference beside it, makes its inputs, and checks itself as a script",
        KERNELBENCH,
    ),
    LookAlike(
        "model-first",
        "its class stands first, its constants last, and the kernel is made by `jit` alone",
        f"from triton import jit\n{IMPORTS}\n\n{MODEL}{BODY}\n\n"
        f"{AFTER_IMPORTS.replace('@triton.jit', '@jit')}__all__ = ['ModelNew']\n",
    ),
    LookAlike(
        "own-parameters",
        "keeps weight and bias as parameters of its own",
        with_imports("import math\n", with_model(OWN_PARAMETERS)),
    ),
    LookAlike(
        "wrapped-layer",
        "keeps the layer within a sequence, beside one that is not used; requires num_classes",
        with_model(WRAPPED_LAYER),
    ),
    LookAlike(
        "two-names", "takes no number of classes; its parameters have two names each", with_model(TWO_NAMES)
    ),
    LookAlike("on-device", "makes its parameters on the GPU, and a buffer", with_model(ON_DEVICE)),
    LookAlike(
        "autograd-function",
        "launches within an autograd.Function under custom_fwd",
        before_model(
            FUNCTION,
            changed(
                (CALL, "        return Conv1.apply(\n"),
                ("stride=conv1.stride[0], padding=conv1.padding[0]", "conv1.stride[0], conv1.padding[0]"),
            ),
        ),
    ),
    LookAlike(
        "custom-op",
        "registers its wrapper as an operator of PyTorch's",
        before_model(
            FAKE,
            changed(
                (WRAPPER, OPERATOR + WRAPPER),
                ("bias: torch.Tensor | None,", "bias: Optional[torch.Tensor],"),
                source=with_imports("from typing import Optional\n"),
            ),
        ),
    ),
)
