"""What an answer may be off by, and the laws of its values. The judge alone imports it."""
