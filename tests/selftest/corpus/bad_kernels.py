"""Bad kernel files: the real kernel with one configuration, and one thing broken in each."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

KERNEL = Path(__file__).resolve().parents[3] / "kernels" / "alexnet_conv1_original.py"

CONFIG = '        triton.Config({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 128}, num_warps=4, num_stages=1),\n'
OUTER_AUTOTUNE = '@triton.autotune(configs=[triton.Config({})], key=["N"])\n'
FORWARD = '        """Return [N, 96, 55, 55] for x [N, 3, 224, 224]."""\n'
INIT = "        super().__init__()\n"
CALL = "        return triton_conv2d_nchw(\n"
CALL_END = "stride=conv1.stride[0], padding=conv1.padding[0]\n        )\n"
CLASS_BODY = "    def __init__(self, num_classes: int = 1000) -> None:\n"
STORE = "    tl.store(out_ptr + out_offset, total, mask=valid_m & (channel_n < C_out))\n"
FORBIDDEN, WRONG = "FORBIDDEN", "WRONG"


@dataclass(frozen=True)
class BadKernel:
    """A kernel file, what it breaks, and the answer that must name it: a verdict and one of the reasons."""

    name: str
    breaks: str
    source: bytes
    verdict: str
    reasons: tuple[str, ...]
    says: str = ""

    def write(self, folder: Path) -> Path:
        """Return where the file now lies."""
        file = folder / "candidate.py"
        file.write_bytes(self.source)
        return file


def with_configs(*configs: str) -> str:
    """Return the real kernel with these lines for its configurations."""
    lines = KERNEL.read_text(encoding="utf-8").splitlines(keepends=True)
    old = [number for number, line in enumerate(lines) if line.lstrip().startswith("triton.Config(")]
    return "".join([*lines[: old[0]], *configs, *lines[old[-1] + 1 :]])


ONE_CONFIG = with_configs(CONFIG)
QUICK = ONE_CONFIG.replace("tl.static_range(0, K_TOTAL, BLOCK_K)", "tl.static_range(0, 0, BLOCK_K)")
"""Compiles and runs in a moment and gives the bias alone: for files that fail before values are compared."""


def replaced(old: str, new: str, source: str = ONE_CONFIG) -> bytes:
    """Return the source with a text that it holds exchanged, wherever it stands."""
    if old not in source:
        raise ValueError(f"the kernel no longer holds {old!r}: change the bad kernels with it")
    return source.replace(old, new).encode()


def in_forward(code: str, source: str = QUICK) -> bytes:
    """Return a kernel whose forward begins with the code."""
    return replaced(
        FORWARD, FORWARD + textwrap.indent(textwrap.dedent(code), " " * 8).rstrip() + "\n", source
    )


def in_init(code: str) -> bytes:
    """Return a kernel whose model is made with the code."""
    return replaced(INIT, INIT + textwrap.indent(textwrap.dedent(code), " " * 8).rstrip() + "\n")


def on_import(code: str) -> bytes:
    """Return a kernel that evaluates one expression in the body of its class."""
    return replaced(CLASS_BODY, f"    broken = {code}\n\n{CLASS_BODY}")


def after_call(code: str, source: str = QUICK) -> bytes:
    """Return a kernel that does the code with its answer `out` and then returns it."""
    body = textwrap.indent(textwrap.dedent(code), " " * 8).rstrip() + "\n        return out\n"
    with_answer = source.replace(CALL, CALL.replace("return", "out ="))
    return replaced(CALL_END, CALL_END + body, with_answer)


UNJUDGED = (
    BadKernel("empty", "holds nothing", b"", FORBIDDEN, ("format-file-empty",)),
    BadKernel("blank", "holds white space", b" \n\t\n", FORBIDDEN, ("format-file-empty",)),
    BadKernel("binary", "holds no text", bytes(range(1, 256)), FORBIDDEN, ("format-not-utf-8",)),
    BadKernel("nul", "holds a NUL byte", b"import torch\0\n", FORBIDDEN, ("format-nul-byte",)),
    BadKernel("not-python", "does not parse", b"def kernel(:\n", FORBIDDEN, ("format-not-python",)),
    BadKernel("deep", "nests too deeply", b"x = " + b"(" * 5000, FORBIDDEN, ("format-not-python",)),
    BadKernel("no-kernel", "has no kernel", b"import torch\n", FORBIDDEN, ("format-kernel-missing",)),
    BadKernel("over-long", "is over long", b"#" * 300_000 + b"\n", FORBIDDEN, ("format-file-too-large",)),
    BadKernel(
        "no-model",
        "has no ModelNew",
        replaced("class ModelNew", "class Model"),
        FORBIDDEN,
        ("format-model-missing",),
        "got Model",
    ),
)
"""Files that the first stage turns down without starting them."""

FAULTS = (
    BadKernel(
        "no-bias-parameter",
        "its model has no parameter that is the bias",
        replaced("bias=True", "bias=False"),
        FORBIDDEN,
        ("other-parameters",),
        "conv1.bias [96]",
    ),
    BadKernel(
        "default-argument",
        "a default argument raises on import",
        replaced("bias: torch.Tensor | None,", "bias: torch.Tensor | None = 1 / 0,").replace(
            b"stride: int,\n    padding: int,", b"stride: int = 1,\n    padding: int = 1,"
        ),
        WRONG,
        ("raises",),
        "ZeroDivisionError",
    ),
    BadKernel("class-body", "the class body raises", on_import("1 / 0"), WRONG, ("raises",), "line "),
    BadKernel(
        "decorator-argument",
        "an argument of a decorator raises",
        replaced('key=["N"', 'key=[1 / 0, "N"'),
        WRONG,
        ("raises",),
        "ZeroDivisionError",
    ),
    BadKernel(
        "init-raises", "ModelNew() raises", in_init("raise OSError('no')"), WRONG, ("raises",), "OSError: no"
    ),
    BadKernel(
        "import-hangs",
        "import never returns",
        on_import("all(i == 0 for i in iter(int, 1))"),
        WRONG,
        ("no-answer",),
    ),
    BadKernel("init-hangs", "ModelNew() never returns", in_init("while True: pass"), WRONG, ("no-answer",)),
    BadKernel(
        "forward-hangs", "forward never returns", in_forward("while True: pass"), WRONG, ("no-answer",)
    ),
    BadKernel(
        "one-image-hangs",
        "forward never returns for one image",
        in_forward("while x.shape[0] == 1: pass"),
        WRONG,
        ("no-answer",),
    ),
    BadKernel("system-exit", "leaves by SystemExit", in_forward("raise SystemExit(0)"), WRONG, ("exits",)),
    BadKernel(
        "exit-code",
        "leaves with a code whose text raises",
        in_forward("raise SystemExit(type('E', (), {'__repr__': lambda self: 1 / 0})())"),
        WRONG,
        ("exits",),
    ),
    BadKernel("os-exit", "ends its process", in_forward("torch.os._exit(0)"), WRONG, ("exits",), "status 0"),
    BadKernel(
        "import-exits", "ends its process on import", on_import("torch.os._exit(0)"), WRONG, ("exits",)
    ),
    BadKernel(
        "killed",
        "kills itself",
        in_forward("torch.os.kill(torch.os.getpid(), 9)"),
        WRONG,
        ("crashes",),
        "SIGKILL",
    ),
    BadKernel(
        "unnamed-signal",
        "ends by a signal that has no name",
        in_forward("torch.os.kill(torch.os.getpid(), 40)"),
        WRONG,
        ("crashes",),
        "40",
    ),
    BadKernel(
        "segfault",
        "reads address 0",
        in_forward("torch.sys.modules['ctypes'].string_at(0)"),
        WRONG,
        ("crashes",),
        "SIGSEGV",
    ),
    BadKernel(
        "stops-itself",
        "stops its process",
        in_forward("torch.os.kill(torch.os.getpid(), 19)"),
        WRONG,
        ("no-answer",),
    ),
    BadKernel(
        "hoards",
        "fills host memory",
        in_forward("hoard = []\nwhile True: hoard.append(bytearray(b'1') * 2**24)"),
        WRONG,
        ("out-of-memory",),
    ),
    BadKernel(
        "children-hoard",
        "fills host memory in a child",
        in_forward("""
            if torch.os.fork() == 0:
                hoard = []
                while len(hoard) < 200: hoard.append(bytearray(b'1') * 2**24)
            while True: pass
        """),
        WRONG,
        ("out-of-memory",),
    ),
    BadKernel(
        "impossible-allocation",
        "asks for an exbibyte",
        in_forward("torch.empty(2**60, dtype=torch.int8)"),
        WRONG,
        ("out-of-memory",),
    ),
    BadKernel(
        "prints-for-ever",
        "prints and never ends",
        in_forward("while True: print('x' * 10_000)"),
        FORBIDDEN,
        ("prints",),
    ),
    BadKernel(
        "stderr-for-ever",
        "writes to stderr and never ends",
        in_forward("while True: torch.os.write(2, b'x' * 10_000)"),
        FORBIDDEN,
        ("prints",),
    ),
    BadKernel(
        "prints-and-answers",
        "prints megabytes, then answers",
        in_forward("torch.os.write(1, b'x' * 4_000_000)"),
        FORBIDDEN,
        ("prints",),
    ),
    BadKernel(
        "printing-thread",
        "leaves a thread that prints",
        in_forward("""
            def chatter():
                while True: torch.os.write(1, b'x' * 10_000)
            torch.sys.modules['threading'].Thread(target=chatter, daemon=True).start()
        """),
        FORBIDDEN,
        ("prints",),
    ),
    BadKernel(
        "closes-descriptors",
        "closes its descriptors",
        in_forward("torch.os.closerange(0, 256)"),
        WRONG,
        ("exits",),
    ),
    BadKernel(
        "garbage",
        "writes garbage where answers go",
        in_forward("""
            for descriptor in range(3, 32):
                try: torch.os.write(descriptor, b'\\xff{[garbage\\n')
                except OSError: pass
        """),
        WRONG,
        ("protocol",),
    ),
    BadKernel(
        "nested-garbage",
        "writes a message that nests deeply",
        in_forward("""
            for descriptor in range(3, 32):
                try: torch.os.write(descriptor, b'{"a":' + b'[' * 50_000 + b'\\n')
                except OSError: pass
        """),
        WRONG,
        ("protocol",),
    ),
    BadKernel(
        "drips",
        "keeps the answer coming, a byte at a time",
        in_forward("""
            while True:
                torch.sys.modules['time'].sleep(0.01)
                for descriptor in range(3, 32):
                    try: torch.os.write(descriptor, b' ')
                    except OSError: pass
        """),
        WRONG,
        ("no-answer",),
    ),
    BadKernel(
        "endless-message",
        "sends a message that does not end",
        in_forward("""
            for descriptor in range(3, 32):
                try: torch.os.write(descriptor, b' ' * 5_000_000)
                except OSError: pass
        """),
        WRONG,
        ("protocol",),
    ),
    BadKernel(
        "forged-answer",
        "answers in its own words that it cannot be compiled",
        in_forward("""
            for descriptor in range(3, 32):
                try: torch.os.write(descriptor, b'{"type":"Recorded","refused":"no"}\\n')
                except OSError: pass
        """),
        FORBIDDEN,
        ("open-nothing-runs",),
    ),
    BadKernel(
        "forged-run",
        "answers in its own words that it ran, before it did",
        in_forward("""
            ran = b'{"type":"Ran","returned":"Tensor","shape":[1,96,55,55],"dtype":"torch.float32"}\\n'
            for descriptor in range(3, 32 if x.shape[0] == 1 else 0):
                try: torch.os.write(descriptor, ran)
                except OSError: pass
        """),
        WRONG,
        ("protocol",),
        "Ran, not Recorded",
    ),
    BadKernel(
        "daemon",
        "leaves a daemon and exits",
        in_forward("""
            if torch.os.fork() == 0:
                torch.os.setsid()
                if torch.os.fork() == 0: torch.sys.modules['time'].sleep(600)
                torch.os._exit(0)
            torch.os._exit(3)
        """),
        WRONG,
        ("exits",),
        "status 3",
    ),
    BadKernel(
        "fork-chain",
        "flees from process to process",
        in_forward("""
            while True:
                if torch.os.fork(): torch.os._exit(0)
                torch.os.setsid()
        """),
        WRONG,
        ("exits",),
    ),
    BadKernel(
        "removes-folder",
        "deletes the scratch folder",
        in_forward("""
            if x.shape[0] == 1:
                torch.sys.modules['shutil'].rmtree(torch.os.path.dirname(torch.os.getcwd()))
        """),
        WRONG,
        ("raises", "protocol"),
    ),
    BadKernel(
        "plan-link",
        "puts a link where its plan goes",
        after_call("""
            plans = [each for each in torch.os.listdir('.') if each[:5] == 'plan-' and x.shape[0] == 1]
            for each in plans: torch.os.symlink('/dev/zero', each + '/plan.json')
        """),
        WRONG,
        ("protocol",),
    ),
    BadKernel(
        "plan-folder",
        "puts a folder where its plan goes",
        after_call("""
            plans = [each for each in torch.os.listdir('.') if each[:5] == 'plan-' and x.shape[0] == 1]
            for each in plans: torch.os.mkdir(each + '/plan.json')
        """),
        WRONG,
        ("raises",),
    ),
    BadKernel(
        "plan-pipe",
        "puts a pipe that nobody reads where its plan goes",
        after_call("""
            plans = [each for each in torch.os.listdir('.') if each[:5] == 'plan-' and x.shape[0] == 1]
            for each in plans: torch.os.mkfifo(each + '/plan.json')
        """),
        WRONG,
        ("no-answer",),
    ),
    BadKernel(
        "evil-text",
        "raises what has no text",
        in_forward("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()"),
        WRONG,
        ("raises",),
        "cannot be shown",
    ),
    BadKernel(
        "exit-text",
        "raises what exits when shown",
        in_forward("raise type('E', (Exception,), {'__str__': lambda self: torch.sys.exit(0)})()"),
        WRONG,
        ("raises",),
        "cannot be shown",
    ),
    BadKernel(
        "long-text",
        "raises ten megabytes",
        in_forward("raise ValueError('x' * 10_000_000)"),
        WRONG,
        ("raises",),
        " ... ",
    ),
    BadKernel(
        "surrogate-text",
        "raises what is no text",
        in_forward("raise ValueError('\\ud800 \\x1b[31m \\x00')"),
        WRONG,
        ("raises",),
        "ValueError",
    ),
    BadKernel(
        "recursion",
        "calls itself for ever",
        in_forward("return self.forward(x)"),
        WRONG,
        ("raises",),
        "RecursionError",
    ),
    BadKernel(
        "no-launch",
        "leaves the work to PyTorch",
        replaced("if not x.is_cuda:", "if True:"),
        FORBIDDEN,
        ("delegation",),
        "aten.convolution",
    ),
    BadKernel(
        "delegates",
        "leaves the work to PyTorch on the CPU for one image",
        in_forward("if x.shape[0] == 1: return self.conv1(x.cpu())"),
        FORBIDDEN,
        ("reads-values",),
    ),
    BadKernel(
        "compile-error",
        "the kernel does not compile",
        replaced(STORE, STORE.replace("total,", "no_such_name,")),
        WRONG,
        ("raises",),
        "no_such_name",
    ),
    BadKernel(
        "one-config-does-not-compile",
        "has one configuration of two at which the autotuner dies",
        with_configs(CONFIG, CONFIG.replace('"BLOCK_M": 64', '"BLOCK_M": 48')).encode(),
        WRONG,
        ("raises",),
        "power of 2",
    ),
    BadKernel(
        "too-much-shared-memory",
        "no sm_89 has the shared memory",
        with_configs(
            CONFIG.replace('64, "BLOCK_N": 64, "BLOCK_K": 128', '32, "BLOCK_N": 64, "BLOCK_K": 512')
        ).encode(),
        FORBIDDEN,
        ("open-nothing-runs",),
        "OutOfResources",
    ),
    BadKernel(
        "many-configs",
        "has 100 configs",
        with_configs(CONFIG * 100).encode(),
        FORBIDDEN,
        ("too-many-configs",),
    ),
    BadKernel("no-configs", "has no config", with_configs("").encode(), WRONG, ("raises",), "BLOCK_M"),
    BadKernel(
        "nested-autotune",
        "autotunes the autotuner",
        replaced(
            "@triton.autotune(\n",
            '@triton.autotune(configs=[triton.Config({})], key=["N"])\n@triton.autotune(\n',
        ),
        WRONG,
        ("raises",),
    ),
    BadKernel(
        "empty-grid",
        "launches no program",
        replaced('return triton.cdiv(N * OH * OW, meta["BLOCK_M"]),', "return 0,"),
        FORBIDDEN,
        ("open-nothing-runs",),
    ),
    BadKernel(
        "huge-grid",
        "launches a grid that no integer holds",
        replaced('return triton.cdiv(N * OH * OW, meta["BLOCK_M"]),', "return 2**70,"),
        WRONG,
        ("raises",),
        "grid",
    ),
    BadKernel(
        "tall-grid",
        "launches more programs on the second axis than a GPU takes",
        replaced('triton.cdiv(C_out, meta["BLOCK_N"])\n', "65536\n"),
        WRONG,
        ("raises",),
        "65535",
    ),
)
"""Files that follow the format and fail when they are started."""

MISTAKES = (
    BadKernel("none", "returns None", after_call("out = None"), WRONG, ("form",), "NoneType"),
    BadKernel("tuple", "returns a tuple", after_call("out = (out,)"), WRONG, ("form",), "tuple"),
    BadKernel("shape", "returns another shape", after_call("out = out[:, :, 1:]"), WRONG, ("form",), "shape"),
    BadKernel(
        "dtype",
        "returns another type",
        after_call("out = out.half()"),
        FORBIDDEN,
        ("computes-outside",),
        "float16",
    ),
    BadKernel(
        "device", "returns a CPU tensor", after_call("out = out.cpu()"), FORBIDDEN, ("reads-values",), "host"
    ),
    BadKernel(
        "strides",
        "returns another layout",
        after_call("out = out.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)"),
        WRONG,
        ("form",),
        "not contiguous",
    ),
    BadKernel(
        "scaled-by-torch",
        "leaves the last product to PyTorch",
        after_call("out = out * 1.0", ONE_CONFIG),
        FORBIDDEN,
        ("computes-outside",),
        "aten.mul",
    ),
    BadKernel("input-changed", "changes x", after_call("x[0, 0, 0, 0] += 1"), WRONG, ("inputs-intact",)),
    BadKernel(
        "weight-changed",
        "changes the weight",
        after_call("with torch.no_grad(): conv1.weight.mul_(2)"),
        WRONG,
        ("inputs-intact",),
    ),
    BadKernel(
        "unwritten",
        "leaves the last channels unwritten",
        replaced(STORE, STORE.replace("C_out)", "C_out - 1)")),
        WRONG,
        ("all-written",),
    ),
    BadKernel(
        "stale",
        "keeps the answer of its first call",
        after_call(
            """
            if not hasattr(self, 'first'): self.first = {}
            out = self.first.setdefault(x.shape[0] == 256, out)
        """,
            ONE_CONFIG,
        ),
        WRONG,
        ("earlier-answers",),
    ),
    BadKernel(
        "bias-a-percent-off",
        "is wrong by less than the bound of ordinary values",
        replaced("total += shift[None, :]", "total += shift[None, :] * 1.01"),
        WRONG,
        ("exact",),
    ),
    BadKernel(
        "large-batch",
        "is right for one image only",
        replaced("total += shift[None, :]", "total += shift[None, :] * tl.where(N > 1, 2.0, 1.0)"),
        WRONG,
        ("hard-bound",),
        "N=",
    ),
)
"""Files that run and give no right answer."""

HARMLESS = (
    BadKernel("prints", "nothing: it prints a little", in_forward("print('hello')", ONE_CONFIG), "", ()),
    BadKernel(
        "replaces-stdout",
        "nothing: it replaces sys.stdout",
        in_forward("torch.sys.stdout = torch.sys.stderr = None", ONE_CONFIG),
        "",
        (),
    ),
)
"""Files that look bad and are right: no verdict names anything in them."""
