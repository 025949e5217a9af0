"""Mode interpret: a call in Triton's interpreter, with its memory watched."""
