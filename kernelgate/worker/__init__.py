"""The program of a worker: the only place where a kernel file is imported."""
