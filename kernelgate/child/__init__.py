"""The program of a contestant: the only place where a kernel file is imported."""
