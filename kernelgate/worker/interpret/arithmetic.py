"""The interpreter's arithmetic as a GPU does it: TF32 products, ordered float32 sums, int32 that wraps.

The library's own product is float32 by a BLAS, whose order of summation may change with the place in a tile,
so that neither the precision of a kernel nor its exact relations would show. Its integers are checked for
overflow at each step, which no GPU does, and which takes half of the time.
"""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray
from triton._C.libtriton import ir
from triton.runtime import interpreter

KEPT_BITS = np.uint32(0xFFFFE000)
"""Sign, exponent and 10 fraction bits: what the hardware reads of a float32 operand (PTX ISA, .tf32)."""


def compute_as_gpu() -> None:
    """Make every interpreted `tl.dot` of float32 operands one of its own precision, and integers wrap."""
    library_dot = interpreter.InterpreterBuilder.create_dot

    def dot(builder: Any, a: Any, b: Any, d: Any, precision: Any, max_imprecise: Any) -> Any:
        if a.data.dtype != np.float32 or b.data.dtype != np.float32:
            return library_dot(builder, a, b, d, precision, max_imprecise)
        left, right = a.data, b.data
        if precision == ir.INPUT_PRECISION.TF32:
            left, right = cut_to_tf32(left), cut_to_tf32(right)
        product = np.einsum("...mk,...kn->...mn", left, right, optimize=False)
        return interpreter.TensorHandle((product + d.data).astype(d.data.dtype), d.dtype.scalar)

    interpreter.InterpreterBuilder.create_dot = dot
    interpreter._patch_lang_tensor = _with_index(interpreter._patch_lang_tensor)
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)


def _with_index(library_patch: Any) -> Any:
    """Return the library's patch of tensors, with an index that NumPy still allows of one element."""

    def patch(tensor: Any, scope: Any) -> None:
        library_patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    return patch


def cut_to_tf32(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values without the fraction bits that TF32 lacks."""
    return (np.ascontiguousarray(values).view(np.uint32) & KEPT_BITS).view(np.float32)
