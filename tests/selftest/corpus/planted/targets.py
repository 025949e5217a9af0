"""Names that an attack looks up in the judge's process, taken from the things that have them.

An attack that no longer finds its target is an honest kernel, and nobody would notice: a name that is gone
fails when the corpus is imported.
"""

import sys
from collections.abc import Callable
from operator import attrgetter

import msgspec


def name_of(target: Callable[..., object]) -> str:
    """Return the name that the judge's code knows a function or method by; raises LookupError if by none."""
    module = target.__module__
    known = module.startswith("kernelgate") and attrgetter(target.__qualname__)(sys.modules[module])
    if known is not target:
        raise LookupError(f"{module}.{target.__qualname__} is no function of the judge's own")
    return target.__name__


def variable_of(function: Callable[..., object], name: str) -> str:
    """Return the name of a local variable; raises LookupError if the function has none of that name."""
    return _known(name, function.__code__.co_varnames, function.__qualname__)  # type: ignore[attr-defined]


def attribute_of(kind: type, name: str) -> str:
    """Return the name of an attribute that `__init__` sets; raises LookupError if it sets none so called."""
    return _known(name, kind.__init__.__code__.co_names, kind.__qualname__)  # type: ignore[misc]


def field_of(record: type[msgspec.Struct], name: str) -> str:
    """Return the name of a record's field; raises LookupError if there is none of that name."""
    return _known(name, record.__struct_fields__, record.__qualname__)


def _known(name: str, names: tuple[str, ...], holder: str) -> str:
    if name not in names:
        raise LookupError(f"{holder} has no {name}: change the attacks with it")
    return name
