"""What ptxas said and what a cubin holds; cubins are assembled here, with no GPU."""

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
import triton
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgate.compilation.machine_code.cubin import CubinError, hash_machine_code, read_assembler_log

PROGBITS, NOBITS = 1, 8

LOG = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'double_it' for 'sm_89'
ptxas info    : Function properties for double_it
    8 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 207 registers, used 1 barriers, 432 bytes cmem[0]
"""
SECOND_LOG = """\
    80 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 255 registers, 400 bytes cmem[0]
"""

PTX = """\
.version 7.8
.target sm_89
.address_size 64

.global .align 4 .f32 factor = 0f40000000;

.visible .entry double_it(.param .u64 values)
{
    .reg .b64 %address;
    .reg .f32 %value, %by;
    ld.param.u64 %address, [values];
    ld.global.f32 %value, [%address];
    ld.global.f32 %by, [factor];
    mul.f32 %value, %value, %by;
    st.global.f32 [%address], %value;
    ret;
}
"""


def assemble(folder: Path, ptx: str) -> bytes:
    source, cubin = folder / "code.ptx", folder / "code.cubin"
    source.write_text(ptx, encoding="utf-8")
    ptxas = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    subprocess.run([ptxas, "-arch=sm_89", "-lineinfo", source, "-o", cubin], check=True, timeout=60)
    return cubin.read_bytes()


@pytest.fixture(scope="module")
def cubin(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return assemble(tmp_path_factory.mktemp("cubin"), PTX)


def plant(old: str, new: str) -> str:
    assert old in PTX
    return PTX.replace(old, new)


def test_registers_and_spills_are_read_from_the_log() -> None:
    """The numbers are those of the lines that name them."""
    report = read_assembler_log(LOG)
    assert report.registers == 207
    assert (report.stack_bytes, report.spill_store_bytes, report.spill_load_bytes) == (8, 16, 24)


def test_of_several_functions_the_worst_counts() -> None:
    """A launch holds the registers of its hungriest function."""
    report = read_assembler_log(LOG + SECOND_LOG)
    assert (report.registers, report.stack_bytes) == (255, 80)
    assert (report.spill_store_bytes, report.spill_load_bytes) == (16, 24)


@pytest.mark.parametrize("missing", ["Used 207 registers", "bytes spill stores", None])
def test_a_log_that_does_not_say_is_an_error(missing: str | None) -> None:
    """Nothing said is not nothing spilled."""
    log = "" if missing is None else LOG.replace(missing, "")
    with pytest.raises(CubinError, match="did not report"):
        read_assembler_log(log)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("double_it", "other_name"),
        ("values", "renamed"),
        ("factor", "constant_of_another_name"),
        ("%value", "%v"),
        (".address_size 64\n", '.address_size 64\n.file 1 "elsewhere.py"\n'),
        ("    mul.f32", "\n\n    // a comment\n    mul.f32"),
    ],
)
def test_names_and_comments_are_no_machine_code(tmp_path: Path, cubin: bytes, old: str, new: str) -> None:
    """A kernel that is only renamed or commented has the same digest, though other bytes."""
    assert hash_machine_code(assemble(tmp_path, plant(old, new))) == hash_machine_code(cubin)


def test_a_renamed_kernel_has_other_bytes(tmp_path: Path, cubin: bytes) -> None:
    """The digest of the file as a whole would not do."""
    assert assemble(tmp_path, plant("double_it", "other_name")) != cubin


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mul.f32", "add.f32"),
        ("[%address], %value", "[%address+4], %value"),
        ("0f40000000", "0f40400000"),
        (".param .u64 values)", ".param .u64 values, .param .u32 more)"),
        ("    ret;", "    st.global.f32 [%address+8], %by;\n    ret;"),
    ],
)
def test_instructions_constants_and_parameters_are_machine_code(
    tmp_path: Path, cubin: bytes, old: str, new: str
) -> None:
    """Every change of what a GPU would do changes the digest."""
    assert hash_machine_code(assemble(tmp_path, plant(old, new))) != hash_machine_code(cubin)


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"not a cubin at all", bytes(4096)])
def test_bytes_that_are_no_cubin_are_refused(data: bytes) -> None:
    """Neither nothing nor zeros nor a bare magic number pass for a program."""
    with pytest.raises(CubinError):
        hash_machine_code(data)


def test_a_cubin_without_a_kernel_is_refused(tmp_path: Path) -> None:
    """Two programs that hold nothing would otherwise be the same code."""
    with pytest.raises(CubinError, match="holds no kernel"):
        hash_machine_code(assemble(tmp_path, PTX.partition(".visible")[0]))


def forge_sections(cubin: bytes, kind: int, size: int) -> bytes:
    """Return the cubin with every section of contents given another type and size (ELF-64 headers)."""
    forged = bytearray(cubin)
    (headers,) = struct.unpack_from("<Q", forged, 0x28)
    entry_size, count = struct.unpack_from("<HH", forged, 0x3A)
    for header in range(headers, headers + entry_size * count, entry_size):
        (old_kind,) = struct.unpack_from("<I", forged, header + 4)
        if old_kind == PROGBITS:
            struct.pack_into("<I", forged, header + 4, kind)
            struct.pack_into("<Q", forged, header + 32, size)
    return bytes(forged)


def test_a_section_without_contents_is_not_made_up_in_memory(cubin: bytes) -> None:
    """A header is the worker's word: the size is hashed, and nothing of that size is made."""
    assert hash_machine_code(forge_sections(cubin, NOBITS, 2**62)) != hash_machine_code(cubin)


def test_a_size_beyond_every_file_is_refused(cubin: bytes) -> None:
    """It is no cubin, and no error of the judge."""
    with pytest.raises(CubinError):
        hash_machine_code(forge_sections(cubin, PROGBITS, 2**64 - 1))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_are_hashed_or_refused(cubin: bytes, data: st.DataObject) -> None:
    """No damage to a cubin ends the judge with another error."""
    damaged = bytearray(cubin)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for candidate in (damaged, damaged[:cut]):
        with contextlib.suppress(CubinError):
            assert len(hash_machine_code(bytes(candidate))) == 64
