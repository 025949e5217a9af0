"""The operation that a problem declares."""

import ast

from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Relations
from kernelgate.operations.problem.problem import Problem
from kernelgate.operations.problem.reference import make_reference

NO_ORIGINAL = Original(sha256="", config=KernelConfig(blocks={}, num_warps=4, num_stages=1), stages=())
"""A problem has no first kernel: PyTorch stands in its place, and in the accepted one's."""


AXES = {1: ("element",), 2: ("row", "column")}
"""What the axes of an output of so many are called; of others nobody knows what they mean."""


def declare_problem(problem: Problem) -> Operation:
    """Return the operation: with the relations of every operation alone, and N up to what is given."""
    axes = len(problem.output)
    return Operation(
        name=problem.name,
        inputs=problem.inputs,
        parameters=problem.parameters,
        output=problem.output,
        output_axes=AXES.get(axes) or tuple(f"axis-{axis}" for axis in range(axes)),
        reference=make_reference(problem),
        relations=Relations(independent=False),
        measured_batch=problem.measured,
        last_batch=problem.measured,
        flops_each=1,
        original=NO_ORIGINAL,
        model_inputs=tuple(ast.literal_eval(problem.init)),
        without=problem.without,
        same_in_eval=problem.same_in_eval,
        problem=problem,
    )
