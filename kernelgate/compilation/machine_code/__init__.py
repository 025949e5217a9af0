"""What a kernel file is compiled to: its code, what a launch of it runs and uses, and what fits on a GPU."""
