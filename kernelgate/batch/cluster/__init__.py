"""Judges on several hosts: each an actor of a Ray cluster. Ray is an extra, imported nowhere else."""
