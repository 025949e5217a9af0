"""The GPU at hand, who else is on it, and the versions that a result depends on."""
