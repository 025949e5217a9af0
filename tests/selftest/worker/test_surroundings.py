"""What is hidden from a kernel file is still told to those who need it."""

import json
import subprocess
import sys
import textwrap

from kernelgate.sandbox.fork_server import passed_on

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
