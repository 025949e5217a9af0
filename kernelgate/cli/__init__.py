"""The command `kernelgate`: one file a subcommand, with its options (`add`) and what it does (`run`).

A subcommand imports what it needs when it runs: no help text waits for PyTorch.
"""
