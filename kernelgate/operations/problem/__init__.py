"""Problem files: an operation read from a file in KernelBench's form, which is trusted."""
