"""What a failing case shows when it is made once more: where, what it looks like, how to see it alone."""
