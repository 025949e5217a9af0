"""What is computed, and what counts as right; a new operation is one new file here."""
