"""What a plan names by digest: its programs, as they are loaded, and the constants of the host."""

from pathlib import Path

import torch

from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.worker.execute.cuda_driver import LoadedProgram, load_program, unload_program
from kernelgate.worker.execute.memory import PlanMemory


class Programs:
    """Loads what plans launch, each once until it is unloaded."""

    def __init__(self) -> None:
        self.loaded: dict[str, LoadedProgram] = {}

    def load(self, plan: LaunchPlan, folder: Path) -> None:
        """Load what the plan launches, as far as it is not loaded; its machine code lies in the folder."""
        for launch in plan.launches:
            if launch.program not in self.loaded:
                program = plan.program_of(launch)
                cubin = (folder / f"{program.cubin}.cubin").read_bytes()
                self.loaded[program.cubin] = load_program(cubin, program.kernel, launch.shared_bytes)

    def unload(self) -> None:
        """Give the memory of all machine code back: what is loaded next lies elsewhere."""
        while self.loaded:
            unload_program(self.loaded.popitem()[1])


def fill_constants(plan: LaunchPlan, folder: Path, memory: PlanMemory) -> None:
    """Put the constants of a plan, which lie in the folder, into their buffers."""
    for buffer, held in zip(plan.buffers, memory.buffers, strict=True):
        if buffer.content is not None:
            content = bytearray((folder / f"{buffer.content}.bin").read_bytes())
            held[: len(content)].copy_(torch.frombuffer(content, dtype=torch.uint8))
