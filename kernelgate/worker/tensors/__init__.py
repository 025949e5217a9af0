"""How tensors lie in memory, and what fills it."""
