"""All dialects, registered by being imported."""

from kernelgate.interpreter.dialects import (
    accesses,
    arith,
    conversions,
    inline_ptx,
    libdevice,
    math,
    products,
    shapes,
    wide_products,
)

MODULES = (accesses, arith, conversions, inline_ptx, libdevice, math, products, shapes, wide_products)
