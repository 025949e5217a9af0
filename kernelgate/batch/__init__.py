"""Many candidates: a batch of files that can be resumed, and requests as they come."""
