"""What a process may use is what it counts."""

import os
import subprocess
import sys

from kernelgate.machine.cores import usable_cores


def test_a_process_that_is_kept_to_a_core_counts_one() -> None:
    """As in a container, or under `taskset`."""
    core = max(os.sched_getaffinity(0))
    ask = "from kernelgate.machine.cores import usable_cores; print(usable_cores())"
    code = f"import os; os.sched_setaffinity(0, [{core}]); {ask}"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "1"
    assert usable_cores() == len(os.sched_getaffinity(0))
