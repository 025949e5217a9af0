"""What a race of kernels leaves: rank.json, and the lines of a terminal."""
