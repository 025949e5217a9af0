"""Mode record: writes down what calls of a kernel file do, where there is no GPU."""
