"""Starts contestants of one mode: `python -m kernelgate.child MODE SOCKET_FD`."""

import sys

from kernelgate.child.copies import make_copies

make_copies(sys.argv[1], int(sys.argv[2]))
