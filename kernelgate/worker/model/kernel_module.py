"""A kernel file imported as a script beside it would import it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from torch import nn


def import_file(path: str) -> Any:
    """Return the module that a file makes, under its own stem, but in the place of no other module."""
    stem = Path(path).stem
    name = f"{stem}_" if stem in sys.modules else stem
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def make_model(module: Any, **named: int) -> nn.Module:
    """Return a model of the file; raises TypeError if it holds no conv1."""
    model: nn.Module = module.ModelNew(**named)
    if not isinstance(getattr(model, "conv1", None), nn.Module):
        raise TypeError("ModelNew() holds no module named conv1")
    return model
