"""The files of a new operation, with blanks to fill in."""
