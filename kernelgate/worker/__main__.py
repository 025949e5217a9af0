"""Starts workers of one mode: `python -m kernelgate.worker MODE SOCKET_FD`."""

import sys

from kernelgate.worker.fork_server import make_copies

make_copies(sys.argv[1], int(sys.argv[2]))
