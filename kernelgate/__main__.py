"""`python -m kernelgate` is the command `kernelgate`."""

import sys

from kernelgate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
