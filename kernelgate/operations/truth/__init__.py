"""The truth: an operation in float64, and the yardsticks of its error."""
