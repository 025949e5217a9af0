"""What was tried of a kernel, and what each law and each of its decisions showed."""
