"""Registers and local memory of a compiled kernel, as a GPU's driver would tell them of a loaded one.

A cubin's section `.nv.info` is a list of attributes: a byte of format, one of kind, two of size, then, of the
kinds below, the number of a symbol and a value (`readelf` of the CUDA binary utilities shows them).
"""

import io
import struct

from elftools.elf.elffile import ELFFile

SIZED = 4
"""The format whose size is that of what follows; in any other there is none, or a value of two bytes."""

REGISTER_COUNT, FRAME_SIZE = 0x2F, 0x11


def read_resources(cubin: bytes) -> tuple[int, int]:
    """Return the registers of a thread, and the words of local memory, which Triton calls spills."""
    section = ELFFile(io.BytesIO(cubin)).get_section_by_name(".nv.info")
    data = section.data() if section else b""
    most, at = {REGISTER_COUNT: 0, FRAME_SIZE: 0}, 0
    while at + 4 <= len(data):
        form, kind, size = struct.unpack_from("<BBH", data, at)
        at += 4
        if form == SIZED:
            if kind in most and size == 8:
                most[kind] = max(most[kind], struct.unpack_from("<II", data, at)[1])
            at += size
    return most[REGISTER_COUNT], most[FRAME_SIZE] // 4
