"""Mode gpu: calls and timed calls on an NVIDIA GPU."""
