"""TTIR's text and what is read from it."""
