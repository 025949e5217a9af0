"""Judges side by side, each a process of its own."""
