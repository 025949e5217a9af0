"""Problem files: what they declare, what they may not hold, and kernels that are judged by them."""
