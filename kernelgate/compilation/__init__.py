"""Stages compile and stage-rules: what a kernel compiles to, and what may change in it."""
