"""When two kernel files are the same code: made-up compiles, real sources."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.baselines.kernels import Kernels
from kernelgate.compilation import stage as compile_stage
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.compilation.stage import compile_all
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.made_up_launches import make_launch

SOURCE = (Path(__file__).parents[3] / "kernels" / "alexnet_conv1_original.py").read_text()
LAUNCH = make_launch(kernel="conv2d_fwd_kernel")
RUNS = ConfigRecord(config=ALEXNET_CONV1.original.config, launches=(LAUNCH,), error="")
REFUSED = ConfigRecord(
    config=msgspec.structs.replace(ALEXNET_CONV1.original.config, num_warps=8), launches=(), error="refused"
)


class Forgetful:
    """Remembers no file."""

    def find(self, *_: object) -> None:
        """Return nothing."""

    def keep(self, *_: object) -> None:
        """Forget it."""


def file_of(source: str) -> KernelFile:
    return KernelFile(path="k.py", sha256=hashlib.sha256(source.encode()).hexdigest(), source=source)


def same_code(
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    configs: dict[str, tuple[ConfigRecord, ...]],
    gpu: int | None = None,
) -> bool:
    """Return whether a file is the accepted kernel's code, if its compile gives these records by target."""
    accepted, candidate = file_of(SOURCE), file_of(source)

    def compile_kernels(
        _sandbox: object, kernels: dict[KernelFile, list[Target]]
    ) -> dict[KernelFile, list[CompiledKernel]]:
        return {
            kernel: [
                CompiledKernel(
                    target=f"sm_{target.capability}",
                    kernel_sha256=kernel.sha256,
                    configs=configs.get(f"sm_{target.capability}", (RUNS,))
                    if kernel == candidate
                    else (RUNS,),
                )
                for target in targets
            ]
            for kernel, targets in kernels.items()
        }

    monkeypatch.setattr(compile_stage, "compile_kernels", compile_kernels)
    monkeypatch.setattr(compile_stage, "COMPILED_BEFORE", Forgetful())
    kernels = Kernels(candidate=candidate, accepted=accepted, original=accepted)
    sandbox: Any = SimpleNamespace(ada_on=None)
    return compile_all(sandbox, kernels, None, gpu).same_code


RENAMED = SOURCE.replace("patch", "field")


@pytest.mark.parametrize("gpu", [None, 89, 90])
def test_a_renamed_copy_with_the_same_programs_is_the_same_code(
    monkeypatch: pytest.MonkeyPatch, gpu: int | None
) -> None:
    """On every target."""
    assert same_code(monkeypatch, RENAMED, {}, gpu)


def test_a_configuration_that_is_refused_makes_it_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """An autotuner that meets it may raise in the first call."""
    assert not same_code(monkeypatch, RENAMED, {"sm_89": (RUNS, REFUSED)})


@pytest.mark.parametrize(
    "change", [{"code_sha256": "b" * 64}, {"grid": (24199, 2, 1)}, {"arguments_sha256": "1" * 64}]
)
@pytest.mark.parametrize("target", ["sm_89", "sm_90"])
def test_other_programs_on_one_target_are_other_code(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object], target: str
) -> None:
    """Machine code, grid or arguments, on either."""
    launch = msgspec.structs.replace(LAUNCH, **change)
    other = msgspec.structs.replace(RUNS, launches=(launch,))
    assert not same_code(monkeypatch, RENAMED, {target: (other,)}, 90)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    if HAS_BIAS:", "    if not isinstance(N, tl.tensor):\n        total += 1.0\n    if HAS_BIAS:"),
        ("    out = torch.empty(", "    x.add_(0)\n    out = torch.empty("),
    ],
)
def test_other_source_is_other_code_even_if_it_compiles_alike(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    """A kernel may differ at other batches, a wrapper in what it does beside the launch."""
    assert old in SOURCE
    assert not same_code(monkeypatch, SOURCE.replace(old, new), {})


def test_a_kernel_that_launches_nothing_is_never_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two empty sets are equal, and mean nothing."""
    monkeypatch.setattr(CompiledKernel, "programs", lambda _: frozenset())
    assert not same_code(monkeypatch, RENAMED, {})
