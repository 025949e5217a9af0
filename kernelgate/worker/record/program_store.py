"""The compiled programs of a launch plan, written beside it by their sha256, with the assembler's words."""

import hashlib
from collections.abc import Set
from pathlib import Path
from typing import Any

from triton import knobs
from triton.backends.nvidia import compiler as backend

from kernelgate.execution.contents import Touched, find_touched
from kernelgate.execution.launch_plan import Launch, Program


class ProgramStore:
    """Keeps what Triton compiled: the programs of one folder, and for all folders what each one touches."""

    def __init__(self) -> None:
        self.folder = Path()
        self.programs: dict[str, Program] = {}
        self.touched: dict[str, Touched] = {}
        self.logs: dict[str, str] = {}
        self.assembler_said: list[str] = []
        knobs.nvidia.dump_ptxas_log = True
        # The backend prints the log. Heard here, it needs no stdout, which belongs to the kernel file.
        backend.print = self.assembler_said.append

    def begin(self, folder: Path) -> None:
        """Keep what comes in another folder, and forget the programs of the last one."""
        self.folder, self.programs = folder, {}

    def keep(self, source: Any, metadata: Any) -> Program:
        """Write the machine code, PTX and TTIR of what a launch runs, and return the program."""
        compiled = next(
            kernel
            for caches in source.fn.device_caches.values()
            for kernel in caches[0].values()
            if kernel.hash == metadata.hash
        )
        texts = {kind: str(compiled.asm[kind]).encode() for kind in ("ptx", "ttir")}
        cubin = self._write(compiled.asm["cubin"], "cubin")
        program = Program(
            kernel=metadata.name,
            cubin=cubin,
            ptx=self._write(texts["ptx"], "ptx"),
            ttir=self._write(texts["ttir"], "ttir"),
            num_warps=metadata.num_warps,
            num_stages=metadata.num_stages,
            log=self._log_of(cubin),
        )
        if program.ttir not in self.touched:
            self.touched[program.ttir] = find_touched(texts["ttir"].decode())
        return self.programs.setdefault(cubin, program)

    def of(self, cubins: Set[str]) -> tuple[Program, ...]:
        """Return the programs of these digests, in the order in which they were kept."""
        return tuple(each for each in self.programs.values() if each.cubin in cubins)

    def touched_by(self, launch: Launch) -> Touched:
        """Return which arguments a launch reads and writes."""
        return self.touched[self.programs[launch.program].ttir]

    def _write(self, content: bytes, kind: str) -> str:
        name = hashlib.sha256(content).hexdigest()
        file = self.folder / f"{name}.{kind}"
        if not file.exists():
            file.write_bytes(content)
        return name

    def _log_of(self, cubin: str) -> str:
        """Return what the assembler said of a program, which it says only when it assembles it."""
        said = "\n".join(self.assembler_said)
        self.assembler_said.clear()
        facts = [line for line in said.splitlines() if "registers" in line or "spill" in line]
        return self.logs.setdefault(cubin, "\n".join(facts))
