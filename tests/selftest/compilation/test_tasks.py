"""In which order the calls of a kernel file are compiled."""

from kernelgate.compilation.compiler import _list_tasks
from kernelgate.compilation.machine_code.compiled_kernel import Target


def test_what_takes_longest_is_compiled_first() -> None:
    """Every form of the first configuration, on each target; then the last, which tends to be the largest."""
    here, ada = Target(capability=90, batches=(1, 3)), Target(capability=89)
    groups = [[0, 1], [2], [3]]
    tasks = _list_tasks(groups, [ada, here], 256)
    assert tasks[:3] == [(ada, 256, [0, 1]), (here, 256, [0, 1]), (ada, 256, [3])]
    assert sorted((str(target), batch, group) for target, batch, group in tasks) == sorted(
        (str(target), batch, group)
        for target in (ada, here)
        for batch in (256, *target.batches)
        for group in groups
    )
