"""Many candidates in one process: a batch of files that can be resumed, and requests as they come."""
