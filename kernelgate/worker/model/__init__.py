"""A kernel file, imported as users import it, and its model."""
