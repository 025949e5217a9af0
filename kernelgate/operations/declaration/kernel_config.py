"""One autotune configuration of a Triton kernel."""

import msgspec


class KernelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One autotune configuration: compile-time blocks, warps a program, pipeline stages."""

    blocks: dict[str, int | str]
    num_warps: int
    num_stages: int
    num_ctas: int = 1
    max_registers: int | None = None

    def __str__(self) -> str:
        blocks = "/".join(str(size) for size in self.blocks.values())
        text = f"{blocks}, " if blocks else ""
        text += f"{self.num_warps} warps, {self.num_stages} stages"
        text += f", {self.num_ctas} blocks a cluster" if self.num_ctas != 1 else ""
        return text + (f", {self.max_registers} registers at most" if self.max_registers else "")
