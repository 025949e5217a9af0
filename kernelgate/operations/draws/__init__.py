"""What the tensors of a call hold, drawn from a seed."""
