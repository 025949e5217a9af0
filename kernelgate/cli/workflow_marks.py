"""Errors as GitHub shows them beside a check."""

import os
from collections.abc import Sequence

from kernelgate.pull_request.github import mark_failures


def print_marks(failures: Sequence[str]) -> None:
    """Print a mark for each failure where a workflow of GitHub runs; elsewhere print nothing."""
    for line in mark_failures(os.environ, failures):
        print(line)
