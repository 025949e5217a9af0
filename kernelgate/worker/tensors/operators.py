"""What the schema of a PyTorch operator says of it, and which operators compute sums of products."""

from typing import Any

import torch
from torch.utils._pytree import tree_leaves

CONTRACTIONS = (
    *("conv", "_conv", "slow_conv", "_slow_conv", "thnn_conv", "mps_conv", "cudnn", "miopen", "mkldnn"),
    *("_fft", "einsum", "matmul", "linear", "bilinear", "mm", "bmm", "addmm", "baddbmm", "addbmm"),
    *("chain_matmul", "addmv", "mv", "dot", "vdot", "_addmm", "_scaled_mm", "_int_mm", "_grouped_mm"),
    *("_weight_int", "_scaled_dot"),
)
"""Beginnings of the names of what computes sums of products, on weights as little as on x."""

UNINITIALISED = {
    *("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"),
}
"""What makes memory that holds nothing yet."""


def is_view(func: Any) -> bool:
    """Whether the operator returns its argument's own memory, unchanged."""
    schema = func._schema
    aliases = any(returned.alias_info is not None for returned in schema.returns)
    return aliases and not any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)


def changed_tensors(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the tensors that the operator writes into."""
    given = named_arguments(func, args, kwargs)
    names = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    leaves = tree_leaves([given[name] for name in names if name in given])
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def named_arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by their names in the schema."""
    return dict(zip([argument.name for argument in func._schema.arguments], args, strict=False)) | kwargs
