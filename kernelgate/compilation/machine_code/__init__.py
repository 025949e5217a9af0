"""What a launch runs, read off its code: instructions, arithmetic, what it uses and what fits on a GPU."""
