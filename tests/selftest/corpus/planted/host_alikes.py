"""Honest kernels with usual host code: what it asks of the GPU, how it launches, and how it tunes."""

from tests.selftest.corpus.planted.base import BASE, CALL, LookAlike, after_call, changed, in_forward
from tests.selftest.corpus.planted.form_alikes import WRAPPER, with_imports

CONTIGUOUS = "    x = x.contiguous()\n"
METHOD = "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
RETURN = "    return out\n\n\nclass"
EMPTY = "    out = torch.empty((N, C_out, OH, OW), device=x.device, dtype=x.dtype)\n"
GRID = """\
    def grid(meta):
        return triton.cdiv(N * OH * OW, meta["BLOCK_M"]), triton.cdiv(C_out, meta["BLOCK_N"])
"""
LAUNCH = "    conv2d_fwd_kernel[grid](\n"
GIVEN = "        x,\n        weight,\n"
LAST_ARGUMENT = "        HAS_BIAS=bias is not None,\n"
KEY = '    key=["N", "C_in", "H", "W", "C_out", "OH", "OW"],\n'
AUTOTUNE = "@triton.autotune(\n"
CONFIG = 'triton.Config({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64}, num_warps=8, num_stages=1)'
BIAS_ADDED = "        total += shift[None, :]\n"
LOADED = "tl.load(w_ptr + (channel_n * K_TOTAL + k_rows), mask=w_valid, other=0.0).to(tl.float32)\n"
OPTIONS = "        BLOCK_M=128,\n        BLOCK_N=64,\n        BLOCK_K=64,\n        num_warps=8,\n"


def before_wrapper(code: str, source: str = BASE) -> str:
    """Return the source with code of the module between kernels and wrapper."""
    return changed((WRAPPER, f"{code}\n\n{WRAPPER}"), source=source)


def without_autotuner(options: str = OPTIONS, source: str = BASE) -> str:
    """Return the source with its one configuration given to the launch."""
    before, _, rest = source.partition(AUTOTUNE)
    return changed((LAST_ARGUMENT, LAST_ARGUMENT + options), source=before + rest.partition("\n)\n")[2])


TILE = """\
@functools.lru_cache(maxsize=None)
def num_sms(device_index: int) -> int:
    return triton.runtime.driver.active.utils.get_device_properties(device_index)["multiprocessor_count"]


@dataclass(frozen=True)
class Tile:
    m: int = 128
    n: int = 64
    k: int = 64
    warps: int = field(default=8)


TILE = Tile()
logger = logging.getLogger(__name__)
"""
TILE_IMPORTS = "import functools, logging, os, warnings\nfrom dataclasses import dataclass, field\n"
WITH_TILE = before_wrapper(TILE, with_imports(TILE_IMPORTS))
TILE_OPTIONS = """\
        BLOCK_M=TILE.m,
        BLOCK_N=TILE.n,
        BLOCK_K=TILE.k,
        num_warps=TILE.warps,
        num_stages=2,
"""
LAMBDA = """\
    grid = lambda META: (triton.cdiv(N * OH * OW, META['BLOCK_M']), triton.cdiv(C_out, META['BLOCK_N']), 1)
"""
QUESTIONS = """\
    if x.dim() != 4:
        raise ValueError(f"{type(x).__name__} of {x.dim()} axes in {triton_conv2d_nchw.__name__}")
    assert x.is_cuda and x.device == weight.device and x.get_device() >= 0, "Tensors must be on CUDA."
    assert x.device.type == "cuda" and not x.is_cpu, x.device
    assert x.data_ptr() % 4 == 0 and x.element_size() == 4 and x.storage_offset() >= 0
    if x.data_ptr() % 16 != 0 or not x.is_contiguous(memory_format=torch.contiguous_format):
        x = x.contiguous()
    index = torch.cuda.current_device() if x.device.index is None else x.device.index
    properties = torch.cuda.get_device_properties(index)
    assert properties.total_memory > 0 and properties.max_threads_per_multi_processor >= 1024
    assert properties.multi_processor_count == num_sms(index) and properties.warp_size == 32
    assert torch.cuda.is_available() and torch.cuda.device_count() > 0 and torch.cuda.get_device_name(index)
    assert torch.cuda.get_device_capability(x.device) >= (8, 0) and torch.version.cuda is not None
    assert triton.runtime.driver.active.get_current_target().backend == "cuda"
    assert torch.cuda.is_bf16_supported() and torch.cuda.mem_get_info(index)[0] > 0
    assert torch.accelerator.current_device_index() == index and hasattr(tl, "make_tensor_descriptor")
    logger.debug("launching on %s with %s", torch.cuda.get_device_name(), vars(TILE) and locals().keys())
"""
GUARDED = """\
    torch.cuda.set_device(x.device)
    stream = torch.cuda.current_stream(x.device)
    with torch.cuda.device(x.device), torch.cuda.device_of(x), torch.cuda.stream(stream):
        launch(
            grid,
"""
LAUNCHER = """\
    return out


def launch(grid, *args, **kwargs):
    conv2d_fwd_kernel[grid](*args, **kwargs)


class"""
SETTINGS = """\
warnings.filterwarnings("ignore", category=UserWarning)
os.environ.setdefault("TRITON_PRINT_AUTOTUNING", "0")
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
torch.set_float32_matmul_precision("high")
torch.set_grad_enabled(True)
torch.manual_seed(0)
torch.cuda.manual_seed_all(0)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NO_BIAS = torch.zeros(96, device="cuda")
"""
OWN_NAMES = """\
    vars = {'open': input.contiguous()}
    dir, compile = vars, len
    x = dir['open']
    assert compile(x.shape) == 4
"""
FLAT = """\
    flat = x.new_empty(N * C_out, OH * OW)
    out = torch.empty_like(flat).view(N, C_out, OH, OW)
"""
UNFLATTENED = """\
    out = out.view(-1, C_out, OH * OW)
    return out.unflatten(2, (OH, OW)).reshape(N, C_out, OH, OW)


class"""
TO_DEVICE = """
device = next(self.parameters()).device
x = x.to(device) if x.device != device else x
x = x.cuda(non_blocking=True).to(device=device, dtype=torch.float32).float().type_as(self.conv1.weight)
with torch.autocast("cuda", enabled=False), torch.cuda.amp.autocast(enabled=False):
    assert self.conv1.weight.to(x.device).data.is_cuda and not torch.jit.is_scripting()
"""
PADDED = "    x = F.pad(x, (padding,) * 4, mode='constant', value=0.0)\n    padding = 0\n"

HOST_CODE = (
    LookAlike(
        "questions",
        "asks for all that there is to know of the GPU and of x",
        changed(
            (CONTIGUOUS, QUESTIONS + CONTIGUOUS), source=f"from __future__ import annotations\n{WITH_TILE}"
        ),
    ),
    LookAlike(
        "constant-tile",
        "no autotuner: its blocks are the fields of a dataclass",
        without_autotuner(TILE_OPTIONS, changed((GRID, LAMBDA), source=WITH_TILE)),
    ),
    LookAlike(
        "device-guard",
        "launches within guards of the device and of the stream",
        changed((LAUNCH, GUARDED), (RETURN, LAUNCHER)),
    ),
    LookAlike(
        "settings",
        "sets what a process may set, when it is imported",
        before_wrapper(
            SETTINGS,
            changed(
                ("x if bias is None else bias,", "NO_BIAS if bias is None else bias,"),
                source=with_imports("import os\nimport warnings\n"),
            ),
        ),
    ),
    LookAlike(
        "own-names",
        "calls its arguments and variables as builtins are called",
        changed(
            ("    x: torch.Tensor,\n", "    input: torch.Tensor,\n"),
            (CONTIGUOUS, OWN_NAMES + CONTIGUOUS),
            ("    assert x.is_cuda", "    x = input\n    assert x.is_cuda"),
            (CALL, f"        input = x\n{CALL}"),
            ("            x, conv1", "            input, conv1"),
        ),
    ),
    LookAlike("to-device", "moves x to where its parameters are, out of autocast", in_forward(TO_DEVICE)),
    LookAlike(
        "moves",
        "shapes its answer from a flat one, and asks like_ functions for memory",
        changed((EMPTY, FLAT), (RETURN, UNFLATTENED)),
    ),
    LookAlike(
        "padded-by-F",
        "adds the border with F.pad, whatever the batch",
        changed((CONTIGUOUS, PADDED + CONTIGUOUS), source=with_imports("import torch.nn.functional as F\n")),
    ),
    LookAlike(
        "compiler-disabled",
        "keeps torch.compile out, and marks its launches for profilers",
        after_call(
            "torch.cuda.nvtx.range_pop()\n",
            changed(
                (METHOD, f"    @torch.compiler.disable\n{METHOD}"),
                source=in_forward('torch.cuda.nvtx.range_push("conv1")'),
            ),
        ),
    ),
)
"""What host code asks for, and does around the launch."""

ZERO_FIRST = "def zero_first(nargs):\n    nargs['out_ptr'].zero_()\n\n\n"
CONFIGS = """\
def get_configs():
    return [
        triton.Config({"BLOCK_M": m, "BLOCK_N": 64, "BLOCK_K": 64}, num_warps=m // 16, num_stages=1)
        for m, _ in itertools.product([64, 128], [1])
    ]


def fitting(configs, named_args, **kwargs):
    rows = named_args["N"] * named_args["OH"] * kwargs.get("OW", 55)
    return [config for config in configs if config.kwargs["BLOCK_M"] <= rows] or configs[:1]


def slow(*_, **named):
    return named["BLOCK_M"]


"""
PRUNED = '    prune_configs_by={"early_config_prune": fitting, "perf_model": slow, "top_k": 2},\n'
WARMUP = """\
    compiled = conv2d_fwd_kernel.warmup(
        x, weight, weight, out, N, C_in, H, W, C_out, KH, KW, OH, OW, stride, stride, padding, padding,
        K_TOTAL=C_in * KH * KW, HAS_BIAS=bias is not None, BLOCK_M=128, BLOCK_N=64, BLOCK_K=64, num_warps=8,
        grid=(1,),
    )
    compiled._init_handles()
    assert 65536 // (compiled.n_regs * 32 * 8) > 0 and compiled.metadata.shared <= 101_376
"""
RUN = "        grid=(triton.cdiv(N * OH * OW, 128), triton.cdiv(C_out, 64), 1),\n        warmup=False,\n"
HOST_DESCRIPTOR = """\
    packed = F.pad(weight.flatten(1), (0, 21))
    described = TensorDescriptor.from_tensor(packed, block_shape=[64, 64])
"""
DESCRIPTOR_IMPORTS = """\
import torch.nn.functional as F
from triton.tools.tensor_descriptor import TensorDescriptor
"""
ALLOCATOR = """\
    packed = torch.nn.functional.pad(weight.flatten(1), (0, 21))

    def alloc_fn(size: int, alignment: int, stream: Optional[int]):
        return torch.empty(size, device="cuda", dtype=torch.int8)

    if hasattr(triton, "set_allocator"):
        triton.set_allocator(alloc_fn)
"""
DESCRIBED = "    described = tl.make_tensor_descriptor(w_ptr, [C_out, 384], [384, 1], [BLOCK_N, BLOCK_K])\n"
WINDOW = "    window = KH * KW\n"

LAUNCHES = (
    LookAlike(
        "hooks",
        "its configuration zeroes the answer first; the autotuner restores it",
        changed(
            (CONFIG, CONFIG.replace("num_stages=1", "num_stages=1, pre_hook=zero_first")),
            (KEY, f'{KEY}    restore_value=["out_ptr"],\n'),
            (AUTOTUNE, ZERO_FIRST + AUTOTUNE),
        ),
    ),
    LookAlike(
        "reset-to-zero",
        "has the autotuner zero the answer, and measure in its own way",
        changed((KEY, f'{KEY}    reset_to_zero=["out_ptr"],\n    warmup=5,\n    rep=10,\n')),
    ),
    LookAlike(
        "pruned",
        "a function makes its configurations; they are pruned by its arguments and by a model of their speed",
        changed(
            (CONFIG, "*get_configs()"),
            (KEY, KEY + PRUNED),
            (AUTOTUNE, CONFIGS + AUTOTUNE),
            source=with_imports("import itertools\n"),
        ),
    ),
    LookAlike(
        "warmed-up",
        "compiles by warmup first, and divides by the registers",
        changed((LAUNCH, WARMUP + LAUNCH), source=without_autotuner()),
    ),
    LookAlike(
        "run",
        "launches by run",
        changed((LAUNCH, "    conv2d_fwd_kernel.run(\n"), source=without_autotuner(OPTIONS + RUN)),
    ),
    LookAlike(
        "libdevice",
        "adds the bias by a function of libdevice",
        changed(
            (BIAS_ADDED, "        total = libdevice.fma(total, 1.0, shift[None, :])\n"),
            source=with_imports("from triton.language.extra import libdevice\n"),
        ),
    ),
    LookAlike(
        "host-descriptor",
        "loads its filters through a descriptor that the host makes",
        changed(
            (LAUNCH, HOST_DESCRIPTOR + LAUNCH),
            (GIVEN, "        x,\n        described,\n"),
            (LOADED, "tl.where(w_valid, w_ptr.load([tl.program_id(1) * BLOCK_N, k_start]).T, 0.0)\n"),
            source=with_imports(DESCRIPTOR_IMPORTS),
        ),
    ),
    LookAlike(
        "device-descriptor",
        "sets an allocator for descriptors that programs make, as the tutorials do",
        changed(
            (LAUNCH, ALLOCATOR + LAUNCH),
            (GIVEN, "        x,\n        packed,\n"),
            (WINDOW, WINDOW + DESCRIBED),
            (LOADED, "described.load([tl.program_id(1) * BLOCK_N, k_start]).T\n"),
            source=with_imports("from typing import Optional\n"),
        ),
    ),
)
"""How kernels are launched and tuned."""
