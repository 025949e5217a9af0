"""The kernel that faults are planted in, and how a fault or a look-alike is written down."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
KERNELS = ROOT / "kernels"
PIPELINED = ROOT / "docs" / "examples" / "pipelined" / "kernel.py"

CONFIG = '        triton.Config({"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64}, num_warps=8, num_stages=1),\n'
OTHER_CONFIG = (
    '        triton.Config({"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64}, num_warps=4, num_stages=1),\n'
)
FORWARD = '        """Return [N, 96, 55, 55] for x [N, 3, 224, 224]."""\n'
INIT = "        super().__init__()\n"
CALL = "        return triton_conv2d_nchw(\n"
CALL_END = "stride=conv1.stride[0], padding=conv1.padding[0]\n        )\n"


@dataclass(frozen=True)
class Planted:
    """A kernel file with one fault. `gpu_only` says why no machine without a GPU can see it, if so."""

    name: str
    breaks: str
    source: str
    gpu_only: str = ""
    operation: str = "alexnet_conv1"


@dataclass(frozen=True)
class LookAlike:
    """An honest kernel file. `gpu_only` says why it cannot run without a GPU, if so."""

    name: str
    looks: str
    source: str
    gpu_only: str = ""
    operation: str = "alexnet_conv1"


def with_configs(*configs: str) -> str:
    """Return the pipelined kernel with these lines for its configurations."""
    lines = PIPELINED.read_text(encoding="utf-8").splitlines(keepends=True)
    old = [number for number, line in enumerate(lines) if line.lstrip().startswith("triton.Config(")]
    return "".join([*lines[: old[0]], *configs, *lines[old[-1] + 1 :]])


BASE = with_configs(CONFIG)
"""Right, with one configuration of large blocks: few programs, quickly compiled and interpreted."""

TWO_CONFIGS = with_configs(CONFIG, OTHER_CONFIG)


def changed(*edits: tuple[str, str], source: str = BASE) -> str:
    """Return the source with each text that it holds exchanged, wherever it stands."""
    for old, new in edits:
        if old not in source:
            raise ValueError(f"the kernel no longer holds {old!r}: change the planted faults with it")
        source = source.replace(old, new)
    return source


def in_init(code: str, source: str = BASE) -> str:
    """Return a kernel file whose model is made with the code."""
    return changed((INIT, INIT + _indented(code)), source=source)


def in_forward(code: str, source: str = BASE) -> str:
    """Return a kernel file whose forward begins with the code."""
    return changed((FORWARD, FORWARD + _indented(code)), source=source)


def after_call(code: str, source: str = BASE) -> str:
    """Return a kernel file that does the code with its answer `out`, and then returns it."""
    source = changed((CALL, CALL.replace("return", "out =")), source=source)
    return changed((CALL_END, f"{CALL_END}{_indented(code)}        return out\n"), source=source)


def _indented(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), " " * 8) + "\n"
