"""The gate for proposed Triton kernels: still right and really faster, or revert."""
