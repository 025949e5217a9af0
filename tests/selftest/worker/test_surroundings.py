"""What is hidden from a kernel file is still told to those who need it."""

import json
import subprocess
import sys
import textwrap

import pytest

from kernelgate.sandbox.fork_server import passed_on
from kernelgate.worker import fork_server, warm_up

SHOW = """
    import json, os, sys
    from triton._C.libtriton import get_cache_invalidating_env_vars
    from kernelgate.worker.record import surroundings
    told = [get_cache_invalidating_env_vars()]
    surroundings.Surroundings().pretend()
    told.append(get_cache_invalidating_env_vars())
    json.dump([*told, sorted(set(os.environ) & set(surroundings.KEPT_IN_C))], sys.stdout)
"""


def test_what_a_recorder_compiles_is_found_by_a_call_of_the_file() -> None:
    """Triton keeps programs by the variables that change them: to it they are the same in both processes."""
    environment = passed_on() | {"CUDA_VISIBLE_DEVICES": ""}
    words = [sys.executable, "-c", textwrap.dedent(SHOW)]
    said = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=120)
    used, recorded, shown = json.loads(said.stdout)
    assert used == recorded != {}
    assert shown == []


@pytest.mark.parametrize(("mode", "warm"), [("record", True), ("use", True), ("execute", False)])
def test_who_compiles_digests_triton_once_for_all_copies(
    monkeypatch: pytest.MonkeyPatch, mode: str, warm: bool
) -> None:
    """Before there are copies; an executor has no Triton."""
    warmed: list[str] = []
    monkeypatch.setattr(fork_server, "NEEDED", {mode: ()})
    monkeypatch.setattr(fork_server.gc, "freeze", lambda: None)
    monkeypatch.setattr(warm_up, "warm_up", lambda: warmed.append(mode))
    fork_server._import_what_is_needed(mode)
    assert bool(warmed) == warm
