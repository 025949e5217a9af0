"""What one call of a kernel file does on a GPU, as data: launch plans."""
