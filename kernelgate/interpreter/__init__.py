"""Runs what a kernel was compiled to, its TTIR, on the CPU: many programs at once, every access checked."""
