"""Mode compile: what a call would launch, compiled with no GPU."""
