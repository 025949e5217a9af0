"""Who is whose child: one look at all processes serves all that ask within a moment."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from kernelgate.sandbox import process_tree
from kernelgate.sandbox.process_tree import LOOK_SECONDS, recent_descendants, resident_bytes

PARENT = "import subprocess, sys; subprocess.Popen(['sleep', '60']); print(flush=True); sys.stdin.read()"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process with a child, which ends with it."""
    words = [sys.executable, "-c", PARENT]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        os.killpg(process.pid, 9)


def test_children_of_children_are_seen(parent: subprocess.Popen[bytes]) -> None:
    """At the latest when the last look is old."""
    time.sleep(LOOK_SECONDS)
    (child,) = recent_descendants(parent.pid)
    assert parent.pid in recent_descendants(os.getpid())
    assert child in recent_descendants(os.getpid())


def test_who_asks_again_at_once_gets_the_same_look(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten waiting threads cost what one does."""
    looks: list[int] = []
    look = process_tree._parents
    monkeypatch.setattr(process_tree, "_parents", lambda: looks.append(1) or look())
    monkeypatch.setattr(process_tree, "_LOOK", process_tree._Look())
    found = [recent_descendants(parent.pid) for _ in range(50)]
    assert len(looks) == 1
    assert found == [found[0]] * 50
    assert len(found[0]) == 1


def test_a_process_that_is_gone_has_nothing(parent: subprocess.Popen[bytes]) -> None:
    """Neither memory nor children."""
    assert resident_bytes(parent.pid) > 2**20
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert (resident_bytes(gone.pid), recent_descendants(gone.pid)) == (0, [])
