"""Mode use: the kernel file called on an NVIDIA GPU as users call it, with nothing watched or replaced."""
