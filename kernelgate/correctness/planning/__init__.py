"""Which cases a kernel is tried on."""
