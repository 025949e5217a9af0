"""Landlock: which files a process may touch, and that it reaches no TCP port and no process outside.

https://docs.kernel.org/userspace-api/landlock.html. What the kernel at hand does not know it does not forbid:
its version of Landlock says how much that is.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from kernelgate.worker.confinement.system_calls import LIBC, checked

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1

_RIGHTS = (
    *("execute", "write_file", "read_file", "read_dir", "remove_dir", "remove_file", "make_char", "make_dir"),
    *("make_reg", "make_sock", "make_fifo", "make_block", "make_sym", "refer", "truncate", "ioctl_dev"),
)
"""In the order of their bits (linux/landlock.h)."""

_KNOWN_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
_TCP_SINCE, _SCOPES_SINCE = 4, 6
_ALL_TCP = _ALL_SCOPES = 0b11
"""Binding and connecting; abstract sockets and signals."""


def _bits(*names: str) -> int:
    return sum(1 << _RIGHTS.index(name) for name in names)


READ = _bits("execute", "read_file", "read_dir")
WRITE = _bits("write_file", "truncate")
DEVICE = WRITE | _bits("read_file", "ioctl_dev")
OWN = _bits(*_RIGHTS) & ~_bits("make_char", "make_block", "ioctl_dev")
_OF_FILES = _bits("execute", "write_file", "read_file", "truncate", "ioctl_dev")


def find_version() -> int:
    """Return the version of Landlock that the kernel has, 0 for none."""
    return max(0, int(LIBC.syscall(CREATE_RULESET, None, 0, ASK_VERSION)))


def restrict_files(allowed: Iterable[tuple[Path, int]]) -> int:
    """Allow this process, and all that it starts, these rights beneath these paths, and nothing else.

    Returns the version of Landlock, 0 where there is none and nothing is forbidden. Raises OSError.
    """
    version = find_version()
    if version == 0:
        return 0
    handled = (1 << _KNOWN_BY_VERSION.get(version, len(_RIGHTS))) - 1
    rules = checked(_create_ruleset(version, handled), "landlock_create_ruleset")
    for path, rights in allowed:
        if path.exists():
            _allow(rules, path, (rights if path.is_dir() else rights & _OF_FILES) & handled)
    checked(LIBC.syscall(RESTRICT_SELF, rules, 0), "landlock_restrict_self")
    os.close(rules)
    return version


def _create_ruleset(version: int, handled: int) -> int:
    fields = [handled]
    fields += [_ALL_TCP] if version >= _TCP_SINCE else []
    fields += [_ALL_SCOPES] if version >= _SCOPES_SINCE else []
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    return int(LIBC.syscall(CREATE_RULESET, attributes, len(attributes), 0))


def _allow(rules: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rule = struct.pack("=Qi", rights, descriptor)
    checked(LIBC.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0), f"landlock_add_rule {path}")
    os.close(descriptor)
