"""The memory of interpreted programs: buffers filled as they are touched, and accesses that are checked."""
