"""Stage correctness: whether the candidate is right."""
