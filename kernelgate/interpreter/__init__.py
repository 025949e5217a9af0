"""Runs what a kernel was compiled to, its TTIR, on the CPU: many programs of a grid at once, every access checked."""
