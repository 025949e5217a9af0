"""Where a finding is: the element of a tensor by its axes, and the line of the kernel file."""

import math
from collections.abc import Callable

import numpy as np

from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.interpreter.findings import Finding
from kernelgate.interpreter.text.source_lines import SourceLines
from kernelgate.operations.declaration.operation import Operation

ELEMENT_BYTES = 4
ANSWER = "the answer"


class Places:
    """The tensors and texts of one plan; `text_of` returns the TTIR that a digest names."""

    def __init__(self, operation: Operation, plan: LaunchPlan, text_of: Callable[[str], str]) -> None:
        self.plan, self.text_of = plan, text_of
        self.shapes = {
            **{each.name: each.shape_at(plan.batch) for each in operation.arguments},
            ANSWER: operation.output_shape(plan.batch),
        }

    def describe(self, finding: Finding) -> str:
        """Return the text of a finding with what can be said of its place."""
        element, line = self._element(finding), self._line(finding)
        place = f" at {element}" if element else ""
        return f"{finding.text}{place}" + (f" (line {line} of the kernel file)" if line else "")

    def _element(self, finding: Finding) -> str:
        """Return the tensor's element; beyond its ends the one that would be there."""
        shape = self.shapes.get(finding.buffer or "")
        buffer = next((each for each in self.plan.buffers if each.role == finding.buffer), None)
        if finding.offset is None or shape is None:
            return ""
        if buffer is not None and buffer.bytes != ELEMENT_BYTES * math.prod(shape):
            return ""  # it lies in more memory, by strides of its own
        first = self.plan.answer.offset if finding.buffer == ANSWER else 0
        number, inner = finding.offset // ELEMENT_BYTES - first, math.prod(shape[1:])
        index = [number // inner, *(int(axis) for axis in np.unravel_index(number % inner, shape[1:]))]
        name = "out" if finding.buffer == ANSWER else finding.buffer
        would = "" if 0 <= number < math.prod(shape) else "what would be "
        return f"{would}{name}[{','.join(map(str, index[: len(shape)]))}]"

    def _line(self, finding: Finding) -> int:
        """Return the line of the kernel file, 0 if programs of several texts bear the kernel's name."""
        texts = {program.ttir for program in self.plan.programs if program.kernel == finding.kernel}
        if len(texts) != 1:
            return 0
        places = SourceLines(self.text_of(texts.pop())).of(finding.line)
        return places[0].line if places else 0
