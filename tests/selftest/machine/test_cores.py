"""Shares of the cores are disjoint, and together all of them."""

import os
import subprocess
import sys

import pytest

from kernelgate.machine.cores import share_out, usable_cores


@pytest.mark.parametrize("shares", [1, 2, 3, 5, 8])
def test_each_core_is_in_one_share(shares: int) -> None:
    """They differ by one core at most."""
    shared = share_out(range(8), shares)
    assert sorted(core for share in shared for core in share) == list(range(8))
    assert max(map(len, shared)) - min(map(len, shared)) <= 1


def test_too_few_cores_are_for_all() -> None:
    """No judge is left without one."""
    assert share_out([4, 7], 3) == [[4, 7]] * 3


def test_a_process_that_keeps_to_a_core_counts_one() -> None:
    """And so does what it starts."""
    core = max(os.sched_getaffinity(0))
    ask = "from kernelgate.machine.cores import usable_cores; print(usable_cores())"
    keep = f"import subprocess, sys; from kernelgate.machine.cores import keep_to; keep_to([{core}])"
    code = f"{keep}; subprocess.run([sys.executable, '-c', {ask!r}], check=True)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == f"[{core}]"
    assert core in usable_cores()
