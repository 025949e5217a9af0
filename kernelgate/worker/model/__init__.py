"""The model of a kernel file, and the calls made of it."""
