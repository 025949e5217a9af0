"""What the system forbids a process that imports a kernel file: set once, before the import, for ever."""
