"""Starts a contestant: `python -m kernelgate.child MODE REQUEST_FD RESPONSE_FD`."""

import sys

from kernelgate.child.program import serve

serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
