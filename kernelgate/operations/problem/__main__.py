"""`python -m kernelgate.operations.problem ORDER ANSWER`: look at a problem file, and write what was seen."""

import resource
import sys
from pathlib import Path

import msgspec

from kernelgate.operations.problem.examine import examine
from kernelgate.operations.problem.order import ExaminationOrder, Refused
from kernelgate.operations.problem.problem import Problem, ProblemError

if __name__ == "__main__":
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=ExaminationOrder)
    # Private memory alone: PyTorch maps gigabytes that it never touches.
    resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes, order.memory_bytes))
    answer: Problem | Refused
    try:
        answer = examine(Path(order.file), order.math, order.memory_bytes)
    except ProblemError as error:
        answer = Refused(kind=error.kind, detail=error.detail)
    except MemoryError:
        answer = Refused(kind="memory", detail=f"needs more than {order.memory_bytes / 2**30:.0f} GiB")
    Path(sys.argv[2]).write_bytes(msgspec.json.encode(answer))
