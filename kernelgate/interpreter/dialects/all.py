"""All dialects, registered by being imported."""

from kernelgate.interpreter.dialects import (
    accesses,
    arith,
    inline_ptx,
    libdevice,
    math,
    products,
    shapes,
)

MODULES = (accesses, arith, inline_ptx, libdevice, math, products, shapes)
