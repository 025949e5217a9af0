"""The gate for proposed Triton kernels: still right and really faster, or revert."""

__version__ = "0.1.0"
