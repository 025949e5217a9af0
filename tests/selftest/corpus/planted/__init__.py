"""Kernel files with one planted fault each, and honest files that look suspicious."""
