"""How much of a GPU's memory a worker may take, and whether others hold it."""

import torch


class GpuShare:
    """The promise of so many bytes; the GPU is not touched before the first request that needs it."""

    def __init__(self) -> None:
        self.promised_bytes = 0
        self.is_taken = False

    def promise(self, promised_bytes: int) -> None:
        """Take note of what the worker may take."""
        self.promised_bytes = promised_bytes

    def take(self) -> bool:
        """Bound this process to its share; returns whether this was the first time."""
        if self.is_taken:
            return False
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, self.promised_bytes / total))
        self.is_taken = True
        return True

    def is_crowded(self) -> bool:
        """Return whether the GPU has not as much left as was promised."""
        if not self.is_taken:
            return False
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved() < self.promised_bytes
