"""What lets a kernel file run its CUDA code where there is no GPU."""
