"""What a cubin holds that a GPU runs: its instructions and constants, without names, lines and addresses."""

import hashlib
import io
import re

import msgspec
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

DATA_SECTIONS = re.compile(r"\.nv\.(constant[1-9]|global)")
SPILLS = re.compile(r"(\d{1,9}) bytes stack frame, (\d{1,9}) bytes spill stores, (\d{1,9}) bytes spill loads")
REGISTERS = re.compile(r"Used (\d{1,9}) registers")


class CubinError(ValueError):
    """The bytes are no cubin, or hold no kernel."""


class AssemblerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ptxas said of one kernel; bytes a thread."""

    registers: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int


def hash_machine_code(cubin: bytes) -> str:
    """Return the SHA-256 of instructions, constant data and parameter space; raises CubinError.

    Symbol names, debug lines and file names are left out, so that renaming a variable changes nothing.
    """
    digest = hashlib.sha256()
    kernels = 0
    try:
        for section in ELFFile(io.BytesIO(cubin)).iter_sections():
            if section.name.startswith(".text."):
                kernels += 1
                digest.update(b"text" + section["sh_info"].to_bytes(8, "little") + _contents(section))
            elif section.name.startswith(".nv.constant0."):
                digest.update(b"parameters" + section["sh_size"].to_bytes(8, "little"))
            elif DATA_SECTIONS.match(section.name):
                digest.update(b"data" + _contents(section))
    except (ELFError, OverflowError) as error:
        raise CubinError(f"not a cubin: {error}") from error
    if not kernels:
        raise CubinError("the cubin holds no kernel")
    return digest.hexdigest()


def _contents(section: Section) -> bytes:
    """Return the bytes of a section; of one that the file does not hold, its size, whatever that claims."""
    if section["sh_type"] == "SHT_NOBITS":
        return bytes(section["sh_size"].to_bytes(8, "little"))
    return bytes(section.data())


def read_assembler_log(log: str) -> AssemblerReport:
    """Return the registers and spills of a kernel; raises CubinError if the log does not say."""
    spills, registers = SPILLS.findall(log), REGISTERS.findall(log)
    if not spills or not registers:
        raise CubinError(f"ptxas did not report registers and spills: {log[:200]!r}")
    stack, stores, loads = (max(int(line[part]) for line in spills) for part in range(3))
    return AssemblerReport(
        registers=max(map(int, registers)),
        stack_bytes=stack,
        spill_store_bytes=stores,
        spill_load_bytes=loads,
    )
