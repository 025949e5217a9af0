"""What the interpreter observes of a call beside its answer: how decisions went, what whole grids write."""
