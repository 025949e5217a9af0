"""What one launch of a kernel is, compiled."""

import re

import msgspec

from kernelgate.operations.declaration.kernel_config import KernelConfig


class LaunchRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kernel of one call of the model: its grid, its arguments, its machine code and what that uses.

    `arguments_sha256` is of the arguments, and of the moves of data since the launch before.
    `products` are the operand types of its products, `narrow` the instructions that compute in less than
    TF32. `stored` is of how many elements the stores of one program are, None if that cannot be told.
    """

    kernel: str
    grid: tuple[int, int, int]
    arguments_sha256: str
    code_sha256: str
    registers: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int
    shared_bytes: int
    blocks_per_sm: int
    warps_per_sm: int
    products: tuple[str, ...] = ()
    narrow: tuple[str, ...] = ()
    stored: int | None = None

    def __post_init__(self) -> None:
        require_field(bool(self.kernel), "kernel", self.kernel, "a name")
        require_field(min(self.grid) >= 1, "grid", self.grid, "three counts from 1")
        require_sha256("arguments_sha256", self.arguments_sha256)
        require_sha256("code_sha256", self.code_sha256)
        for field, value in msgspec.structs.asdict(self).items():
            if isinstance(value, int):
                require_field(value >= 0, field, value, "0 or more")


class ConfigRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One autotune config, compiled: its launches, or the error that says why it cannot run.

    `plan_sha256` is of all that the launch plan does, whatever its programs are called.
    """

    config: KernelConfig
    launches: tuple[LaunchRecord, ...]
    error: str
    plan_sha256: str = ""

    def __post_init__(self) -> None:
        if bool(self.launches) == bool(self.error):
            raise ValueError(
                f"config {self.config}: {len(self.launches)} launches with error {self.error!r}, "
                "allowed: launches or an error, not both and not neither"
            )


def require_field(valid: bool, field: str, got: object, allowed: str) -> None:
    """Return nothing for a valid field; raises ValueError with its name, what it is and what is allowed."""
    if not valid:
        raise ValueError(f"{field} is {got!r:.200}, allowed: {allowed}")


def require_sha256(field: str, value: str) -> None:
    """Return nothing for 64 lower-case hexadecimal digits; raises ValueError otherwise."""
    require_field(bool(re.fullmatch(r"[0-9a-f]{64}", value)), field, value, "64 hexadecimal digits")
