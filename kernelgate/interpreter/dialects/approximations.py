"""Results that the hardware may give a little off, moved by as much as PTX allows.

Division is `div.full.f32`, roots and powers are `.approx` (PTX ISA, floating-point instructions: maximum
errors). What a kernel gets by luck of one GPU's approximation it does not get here.
"""

from typing import Any

import numpy as np

from kernelgate.interpreter.dialects.registry import Compute
from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.programs import Programs
from kernelgate.interpreter.text.module import Operation

UNITS = {"arith.divf": 2, "math.sqrt": 1, "math.rsqrt": 2, "math.exp": 2, "math.exp2": 2}
"""By how many units in the last place a float32 result may be off."""

_GOLDEN = np.uint32(0x9E3779B1)
"""2^32 over the golden ratio: spreads neighbouring bits over all others (Knuth, vol. 3, section 6.4)."""


def approximate(compute: Compute, operation: Operation) -> Compute:
    """Return the computation with its results moved, in launches that have a seed for it."""
    units = UNITS[operation.name]

    def moved(programs: Programs, *values: Array) -> Any:
        found = compute(*values)
        seed = programs.launch.rounding_seed
        return found if seed is None else move(found, units, seed)

    return moved


def is_approximate(operation: Operation) -> bool:
    """Whether the hardware may give an operation's results a little off."""
    return operation.name in UNITS and operation.result_type.element == "f32"


def move(values: Array, units: int, seed: int) -> Array:
    """Return float32 values moved by up to so many units; equal ones alike, for one seed.

    Zeros, subnormals, infinities and NaN stay, and what a step would bring to one of these.
    """
    bits = np.ascontiguousarray(values).view(np.uint32)
    spread = (bits ^ np.uint32(seed & 0xFFFFFFFF)) * _GOLDEN
    spread ^= spread >> np.uint32(15)
    steps = (spread % np.uint32(2 * units + 1)).astype(np.int32) - units
    exponent = (bits >> np.uint32(23)) & np.uint32(0xFF)
    steps = np.where((exponent > 1) & (exponent < 254), steps, 0)
    found: Array = (bits.view(np.int32) + steps).view(np.float32)
    return found
