"""Each operation has faults and look-alikes of its own, which differ from its kernel and from each other."""

import pytest

from kernelgate.operations import OPERATIONS
from tests.selftest.corpus.planted.base import KERNELS, LookAlike, Planted
from tests.selftest.corpus.planted.corpus import OF_OPERATIONS, entries, everything

LEAST_FAULTS, LEAST_ALIKES = 10, 3
OTHERS = [name for name in OPERATIONS if name != "alexnet_conv1"]


@pytest.mark.parametrize("name", OTHERS)
def test_an_operation_has_planted_faults_and_look_alikes(name: str) -> None:
    """An operation whose faults nobody planted may be declared such that none is found."""
    planted = entries(f"{OF_OPERATIONS}{name}")
    assert sum(isinstance(each, Planted) for each in planted) >= LEAST_FAULTS
    assert sum(isinstance(each, LookAlike) for each in planted) >= LEAST_ALIKES
    assert {each.operation for each in planted} == {name}


@pytest.mark.parametrize("name", OTHERS)
def test_every_file_is_another(name: str) -> None:
    """A fault that changes nothing is an honest kernel."""
    original = (KERNELS / f"{name}_original.py").read_text(encoding="utf-8")
    sources = [each.source for each in entries(f"{OF_OPERATIONS}{name}")]
    assert len({original, *sources}) == 1 + len(sources)
    for source in sources:
        compile(source, name, "exec")


def test_files_of_one_operation_have_names_of_their_own() -> None:
    """A record tells them apart by operation and name."""
    named = [(each.operation, each.name, group) for group, each in everything()]
    assert len(set(named)) == len(named)
