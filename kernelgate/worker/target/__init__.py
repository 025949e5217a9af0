"""Which GPU the code is for."""
