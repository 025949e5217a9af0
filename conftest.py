"""Loads the gate's pytest plugin where pytest has not loaded it by its entry point."""

pytest_plugins = ["kernelgate.pytest_plugin"]
