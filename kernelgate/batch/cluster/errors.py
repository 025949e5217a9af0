"""What keeps a cluster from judging."""

from kernelgate.errors import KernelgateError


class ClusterError(KernelgateError):
    """A cluster cannot be reached, or none of its hosts can judge; the text says which, and what to do."""
