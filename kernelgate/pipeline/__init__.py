"""The stages in order, and the verdict that they come to."""
