"""The compiled programs that a process has loaded, by the digest of their machine code."""

from pathlib import Path

from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.worker.execute.cuda_driver import LoadedProgram, load_program, unload_program


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
