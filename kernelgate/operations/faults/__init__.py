"""Where an answer is wrong, what that looks like, and how PyTorch alone shows it."""
