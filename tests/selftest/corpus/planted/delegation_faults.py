"""Faults of delegation: the answer, or some of it, is not computed by a Triton kernel of this very call."""

import textwrap

from tests.selftest.corpus.planted.base import Planted, after_call, changed, in_forward, in_init

WRAPPER = "def triton_conv2d_nchw(\n"
HELPERS = '''@triton.jit
def copy_kernel(from_ptr, x_ptr, b_ptr, to_ptr, count, HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr):
    """Copy BLOCK elements of [N, 96, 55, 55], add the bias of their channel, and read x for show."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(from_ptr + at, mask=at < count)
    shown = tl.load(x_ptr + at % 150528)
    value = tl.where(shown == shown, value, value + 0.0)
    if HAS_BIAS:
        value += tl.load(b_ptr + at // 3025 % 96)
    tl.store(to_ptr + at, value, mask=at < count)


def copied(answer, x, bias=None):
    """Return the answer, with the bias added, in memory on the device of x that a kernel has written."""
    answer = answer.detach().to(x.device).contiguous().view(len(x), 96, 55, 55)
    out = torch.empty(answer.shape, device=x.device)
    grid = (triton.cdiv(out.numel(), 8192),)
    tensors = answer, x, x if bias is None else bias, out
    copy_kernel[grid](*tensors, out.numel(), bias is not None, BLOCK=8192)
    return out


def on_host(x, conv1):
    """Return x, weight and bias in host memory."""
    bias = conv1.bias
    return x.cpu(), conv1.weight.detach().cpu().contiguous(), bias if bias is None else bias.detach().cpu()


'''
WITH_HELPERS = changed((WRAPPER, HELPERS + WRAPPER))
FEW_IMAGES = "if len(x) > 2: return triton_conv2d_nchw(x, weight, bias, 4, 2)"
PATCHES = "patches = nn.functional.unfold(x, 11, padding=2, stride=4)"


def handed_over(code: str, bias: str = "None", source: str = WITH_HELPERS) -> str:
    """Return a kernel file whose kernel copies the `answer` that the code makes."""
    code = f"weight, bias = self.conv1.weight, self.conv1.bias\n{textwrap.dedent(code).strip()}\n"
    return in_forward(f"{code}return copied(answer, x, {bias})", source=source)


FORK = """
given, answer = on_host(x, self.conv1), torch.empty(len(x), 96, 55, 55).share_memory_()
child = torch.os.fork()
if child == 0:
    torch.set_num_threads(1)
    answer.copy_(torch.conv2d(*given, 4, 2))
    torch.os._exit(0)
torch.os.waitpid(child, 0)
"""
"""A child process computes into shared memory."""


def products_handed_over(code: str) -> str:
    """Return a kernel file whose kernel adds the bias to the `answer` that the code makes."""
    return handed_over(code, "bias")


def torch_instead(condition: str) -> str:
    """Return a kernel file that leaves the batches of the condition to the layer itself."""
    return in_forward(f"if {condition}:\n    return self.conv1(x).contiguous()")


WHOLE = (
    Planted("one-image", "leaves one image to the layer", torch_instead("len(x) == 1")),
    Planted("large-batches", "leaves more than 64 images to the layer", torch_instead("len(x) > 64")),
    Planted(
        "drops-its-answer",
        "the kernel's answer is dropped for that of conv2d",
        after_call("out = nn.functional.conv2d(x, conv1.weight, conv1.bias, 4, 2).contiguous()"),
    ),
    Planted(
        "launch-for-show",
        "launches a kernel on zeros and lets the layer answer",
        in_forward(
            "copied(torch.zeros(290400), x[:1])\nreturn self.conv1(x).contiguous()", source=WITH_HELPERS
        ),
    ),
    Planted(
        "copies-conv2d", "the kernel copies what conv2d has computed", handed_over("answer = self.conv1(x)")
    ),
    Planted(
        "forward-hook",
        "a hook of the model exchanges the answer after forward",
        in_init("self.register_forward_hook(lambda model, given, out: model.conv1(given[0]).contiguous())"),
    ),
    Planted(
        "aten-convolution",
        "calls the operator below torch.nn",
        handed_over(
            "answer = torch.ops.aten.convolution(x, weight, bias, [4, 4], [2, 2], [1, 1], 0, [0, 0], 1)"
        ),
    ),
    Planted(
        "thnn-conv2d",
        "calls a convolution of torch._C",
        handed_over("answer = torch._C._nn.thnn_conv2d(x, weight, [11, 11], bias, [4, 4], [2, 2])"),
    ),
    Planted(
        "cudnn-convolution",
        "calls cuDNN by its name in torch, and adds the bias itself",
        in_forward(
            """
            if torch._C._cuda_getDeviceCount():
                sizes = [2, 2], [4, 4], [1, 1], 1, False, False, True
                products = torch.cudnn_convolution(x, self.conv1.weight, *sizes)
                return copied(products, x, self.conv1.bias)
            """,
            source=WITH_HELPERS,
        ),
        gpu_only="there is no cuDNN without a GPU",
    ),
    Planted(
        "name-in-a-text",
        "calls the layer in a text that it evaluates",
        handed_over("""answer = eval("self.co" + "nv1(x)")"""),
    ),
    Planted(
        "compiled-layer",
        "lets torch.compile run the layer",
        handed_over("""
            torch._dynamo.config.suppress_errors = True
            answer = torch.compile(self.conv1, backend="eager")(x)
        """),
    ),
    Planted(
        "scripted",
        "lets TorchScript run a convolution",
        handed_over("""
            code = "def conv(x, w, b: Optional[Tensor]):\\n  return torch.conv2d(x, w, b, [4, 4], [2, 2])\\n"
            answer = torch.jit.CompilationUnit(code).conv(x, weight, bias)
        """),
    ),
    Planted(
        "symbolically-traced",
        "lets torch.fx run the layer",
        handed_over("answer = torch.fx.symbolic_trace(self.conv1)(x)"),
    ),
    Planted(
        "float64-conv2d",
        "computes in float64 by torch",
        products_handed_over("answer = torch.conv2d(x.double(), weight.double(), None, 4, 2).float()"),
    ),
)
"""Somebody else's convolution, by one name or another."""

BY_HAND = (
    Planted(
        "unfold-matmul",
        "multiplies unfolded patches by torch; the kernel adds the bias",
        products_handed_over(f"{PATCHES}\nanswer = torch.matmul(weight.flatten(1), patches)"),
    ),
    Planted(
        "windows-einsum",
        "sums over windows of the padded image by einsum",
        products_handed_over("""
            windows = nn.functional.pad(x, (2, 2, 2, 2)).unfold(2, 11, 4).unfold(3, 11, 4)
            answer = torch.einsum("ncijkl,ockl->noij", windows, weight)
        """),
    ),
    Planted(
        "tap-by-tap",
        "adds the 363 taps of few images by elementwise arithmetic of torch",
        products_handed_over(f"""
            {FEW_IMAGES}
            padded = nn.functional.pad(x, (2, 2, 2, 2))
            answer = torch.zeros(len(x), 96, 55, 55, device=x.device)
            for tap in range(363):
                channel, row, column = tap // 121, tap // 11 % 11, tap % 11
                shifted = padded[:, channel, None, row : row + 217 : 4, column : column + 217 : 4]
                answer.addcmul_(shifted, weight[:, channel, row, column].detach().view(-1, 1, 1))
        """),
    ),
    Planted(
        "fourier",
        "multiplies the spectra of few images by torch",
        products_handed_over(f"""
            {FEW_IMAGES}
            filters = torch.fft.rfft2(weight.detach().double(), s=(228, 228)).conj()
            spectra = torch.fft.rfft2(nn.functional.pad(x.double(), (2, 2, 2, 2)))
            images = [torch.fft.irfft2((spectrum * filters).sum(1), s=(228, 228)) for spectrum in spectra]
            answer = torch.stack([image[:, :217:4, :217:4].float() for image in images])
        """),
    ),
    Planted(
        "gradient",
        "takes the gradient of a transposed convolution",
        products_handed_over("""
            with torch.enable_grad():
                start = torch.zeros(len(x), 96, 55, 55, device=x.device, requires_grad=True)
                spread = nn.functional.conv_transpose2d(start, weight.detach(), None, 4, 2, output_padding=1)
                (answer,) = torch.autograd.grad(spread, start, x)
        """),
    ),
)
"""A convolution that torch computes in smaller steps."""

IN_PART = (
    Planted(
        "last-channels",
        "leaves the last 32 channels to torch",
        after_call(
            "rest = (part if part is None else part[64:] for part in (conv1.weight, conv1.bias))\n"
            "out[:, 64:] = torch.conv2d(x, *rest, 4, 2)",
            source=changed(('triton.cdiv(C_out, meta["BLOCK_N"])', "1")),
        ),
    ),
    Planted(
        "last-image",
        "exchanges the last image of several for that of the layer",
        after_call("if len(x) > 1: out[-1] = self.conv1(x[-1:])[0]"),
    ),
    Planted(
        "bottom-row",
        "exchanges the bottom row for that of conv2d",
        after_call("""
            rows = nn.functional.pad(x[:, :, 214:], (2, 2, 0, 1))
            out[:, :, 54:] = torch.conv2d(rows, conv1.weight, conv1.bias, 4)
        """),
    ),
    Planted(
        "one-input-channel",
        "lets torch add the products of the third input channel",
        after_call(
            "out += torch.conv2d(x[:, 2:], conv1.weight[:, 2:], None, 4, 2)",
            source=changed(("k_valid = k < K_TOTAL", "k_valid = k < 2 * window")),
        ),
    ),
    Planted(
        "bias-by-torch",
        "lets torch add the bias",
        after_call(
            "if conv1.bias is not None: out += conv1.bias.view(-1, 1, 1)",
            source=changed(("HAS_BIAS=bias is not None", "HAS_BIAS=False")),
        ),
    ),
    Planted(
        "x-cut-by-torch",
        "lets torch cut x to TF32 before the kernel reads it",
        in_forward("x = x.contiguous().view(torch.int32).bitwise_and(-8192).view(torch.float32)"),
    ),
    Planted(
        "overwritten-after-launch",
        "torch multiplies into the memory that the kernel has written",
        after_call(f"""
            {PATCHES}
            filters = conv1.weight.detach().flatten(1).expand(len(x), -1, -1)
            torch.bmm(filters, patches, out=out.view(len(x), 96, -1))
            if conv1.bias is not None: out += conv1.bias.view(-1, 1, 1)
        """),
    ),
)
"""Torch computes some of the answer."""

ELSEWHERE = (
    Planted(
        "on-the-host",
        "convolves on the CPU and copies the answer back",
        handed_over("answer = torch.conv2d(*on_host(x, self.conv1), 4, 2)"),
    ),
    Planted(
        "numpy",
        "multiplies by NumPy",
        products_handed_over("""
            images, filters, _ = on_host(x, self.conv1)
            patches = nn.functional.unfold(images, 11, padding=2, stride=4).numpy()
            answer = torch.from_numpy(torch.sys.modules["numpy"].matmul(filters.flatten(1).numpy(), patches))
        """),
    ),
    Planted(
        "blas",
        "multiplies by the BLAS of a library that it loads itself",
        products_handed_over("""
            images, filters, _ = on_host(x, self.conv1)
            patches = nn.functional.unfold(images, 11, padding=2, stride=4)
            answer = torch.empty(len(x), 96, 3025)
            c = torch.sys.modules["ctypes"]
            library = c.CDLL(torch.__path__[0] + "/lib/libtorch_cpu.so")
            pixels, channels, taps = (c.byref(c.c_int(size)) for size in (3025, 96, 363))
            one, zero = c.byref(c.c_float(1)), c.byref(c.c_float(0))
            for patch, product in zip(patches, answer):
                a, b, out = (c.c_void_p(matrix.data_ptr()) for matrix in (patch, filters, product))
                sizes = pixels, channels, taps
                library.sgemm_(b"N", b"N", *sizes, one, a, pixels, b, taps, zero, out, pixels)
        """),
    ),
    Planted(
        "another-interpreter",
        "asks another Python for the answer",
        handed_over("""
            torch.save(on_host(x, self.conv1), "given.pt")
            code = "import torch; torch.save(torch.conv2d(*torch.load('given.pt'), 4, 2), 'answer.pt')"
            torch.sys.modules["subprocess"].run([torch.sys.executable, "-c", code], check=True)
            answer = torch.load("answer.pt")
        """),
    ),
    Planted(
        "fork",
        "lets a child process compute into shared memory",
        handed_over(FORK),
    ),
    Planted(
        "thread",
        "lets another thread ask the layer",
        handed_over("""
            answers = []
            worker = torch.sys.modules["threading"].Thread(target=lambda: answers.append(self.conv1(x)))
            worker.start()
            worker.join()
            answer = answers[0]
        """),
    ),
    Planted(
        "socket",
        "reads the answer from a socket that a thread serves",
        handed_over("""
            here, there = torch.sys.modules["socket"].socketpair()
            given = on_host(x, self.conv1)

            def serve():
                there.sendall(torch.conv2d(*given, 4, 2).numpy().tobytes())

            torch.sys.modules["threading"].Thread(target=serve).start()
            answer = here.makefile("rb").read(4 * 290400 * len(x))
            answer = torch.frombuffer(bytearray(answer), dtype=torch.float32)
        """),
    ),
    Planted(
        "known-contents",
        "gives an answer of its own again where it knows the contents of x, weight and bias",
        after_call(
            "answers[key] = out.clone()",
            source=in_forward(
                """
                answers, given = self.__dict__.setdefault("answers", {}), on_host(x, self.conv1)
                key = len(x), *(part if part is None else hash(part.numpy().tobytes()) for part in given)
                if key in answers:
                    return answers[key].clone()
                """,
                source=WITH_HELPERS,
            ),
        ),
    ),
    Planted(
        "answers-on-disk",
        "keeps answers in files named after the contents of x, weight and bias",
        after_call(
            "torch.save(out.cpu(), file)",
            source=in_forward(
                """
                given = [b"" if part is None else part.numpy().tobytes() for part in on_host(x, self.conv1)]
                file = f"{torch.sys.modules['hashlib'].sha256(b''.join(given)).hexdigest()}.pt"
                if torch.os.path.exists(file):
                    return copied(torch.load(file), x)
                """,
                source=WITH_HELPERS,
            ),
        ),
    ),
    Planted(
        "graph-of-the-first-x",
        "replays a CUDA graph that reads the memory of the first x",
        after_call(
            """
            if torch._C._cuda_getDeviceCount():
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    answer = triton_conv2d_nchw(x, conv1.weight, conv1.bias, 4, 2)
                self.graphs[x.shape] = graph, x, answer
            """,
            source=in_forward("""
                self.graphs = getattr(self, "graphs", {})
                if x.shape in self.graphs:
                    graph, _, answer = self.graphs[x.shape]
                    graph.replay()
                    return answer.clone()
            """),
        ),
        gpu_only="CUDA graphs need a GPU",
    ),
)
"""The answer comes from outside this call, or from outside torch and Triton."""

DELEGATION = (*WHOLE, *BY_HAND, *IN_PART, *ELSEWHERE)
