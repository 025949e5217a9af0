"""Mode execute: launch plans on an NVIDIA GPU, in a process that never sees a kernel file, nor Triton."""
