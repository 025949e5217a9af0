"""JSON has no NaN and no infinity: null stands for them, and is read as NaN where a number must be."""

import math
from typing import Any

from msgspec import inspect


def restore_numbers(value: Any, kind: inspect.Type) -> Any:
    """Return decoded JSON with NaN for each null that stands where the type wants a number."""
    if isinstance(kind, inspect.Metadata):
        return restore_numbers(value, kind.type)
    if isinstance(kind, inspect.FloatType):
        return math.nan if value is None else value
    if isinstance(kind, inspect.UnionType):
        return _restore_choice(value, kind)
    if isinstance(value, dict):
        return _restore_members(value, kind)
    if isinstance(value, list) and isinstance(kind, inspect.VarTupleType):
        return [restore_numbers(each, kind.item_type) for each in value]
    return value


def _restore_members(value: dict[str, Any], kind: inspect.Type) -> dict[str, Any]:
    if isinstance(kind, inspect.DictType):
        return {name: restore_numbers(each, kind.value_type) for name, each in value.items()}
    if isinstance(kind, inspect.StructType):
        types = {field.encode_name: field.type for field in kind.fields}
        return {
            name: restore_numbers(each, types[name]) if name in types else each
            for name, each in value.items()
        }
    return value


def _restore_choice(value: Any, kind: inspect.UnionType) -> Any:
    # A null is a value of its own where the type lets it in.
    if value is None:
        return value
    tag = value.get("type") if isinstance(value, dict) else None
    for each in kind.types:
        if not isinstance(each, inspect.StructType) or each.tag in (None, tag):
            value = restore_numbers(value, each)
    return value
