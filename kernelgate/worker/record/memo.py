"""Spares a compile its back half where two configurations reach the same GPU program.

`num_stages` acts on a loop that is pipelined; on an unrolled one it changes nothing, and the first kernel's
nine configurations are five programs. Triton compiles them all; here what comes after its own GPU dialect
is remembered by its text.
"""

from collections.abc import Callable
from typing import Any

from triton.backends.nvidia.compiler import CUDABackend

BACK_HALF = ("llir", "ptx", "cubin")

Stage = Callable[[Any, dict[str, Any]], Any]


def remember_back_half() -> None:
    """Make every compile of this process reuse what an equal program was turned into."""
    add_stages = CUDABackend.add_stages
    memory: dict[tuple[str, str, str], tuple[Any, dict[str, Any]]] = {}

    def add_remembering_stages(backend: Any, stages: dict[str, Stage], options: Any, *rest: Any) -> None:
        add_stages(backend, stages, options, *rest)
        # The back half reads every option but this one, which the GPU dialect has used up.
        context = str((backend.hash(), {**options.__dict__, "num_stages": None}))
        for name in BACK_HALF:
            stages[name] = _remembering(name, stages[name], context, memory)

    CUDABackend.add_stages = add_remembering_stages


def _remembering(
    name: str, stage: Stage, context: str, memory: dict[tuple[str, str, str], tuple[Any, dict[str, Any]]]
) -> Stage:
    def run(source: Any, metadata: dict[str, Any]) -> Any:
        key = (name, context, str(source))
        if key not in memory:
            before = dict(metadata)
            result = stage(source, metadata)
            memory[key] = (
                result,
                {k: v for k, v in metadata.items() if k not in before or before[k] is not v},
            )
        result, noted = memory[key]
        metadata.update(noted)
        return result

    return run
