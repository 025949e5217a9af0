"""The tensors within the arguments of a launch: as they are, reinterpreted, in descriptors or in tuples."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch


def map_tensors(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return the argument with each tensor in it exchanged, everything else as it is."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple):
        parts = [map_tensors(part, change) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(getattr(value, "base", None), torch.Tensor):
        # A tensor descriptor, or a tensor seen as another type: both hold it as `base`.
        holder = copy.copy(value)
        holder.base = change(value.base)
        if hasattr(holder, "data_ptr") and "data" in getattr(holder, "__dict__", {}):
            holder.data = holder.base.data
        return holder
    return value


def tensors_in(arguments: Iterator[Any] | list[Any]) -> list[torch.Tensor]:
    """Return all tensors within the arguments."""
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    for value in arguments:
        map_tensors(value, note)
    return found
