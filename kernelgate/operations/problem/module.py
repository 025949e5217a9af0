"""The one place that imports a problem file, which is trusted: it is the maintainer's, as the gate is."""

import ast
import hashlib
import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kernelgate.operations.problem.problem import ProblemError

PARTS = ("Model", "get_inputs", "get_init_inputs")


class _Loader(SourceFileLoader):
    """Leaves nothing beside the file that it imports."""

    def set_data(self, *_: Any, **__: Any) -> None:
        """Keep no bytecode."""


class ProblemModule:
    """An imported problem file; raises ProblemError if it cannot be imported or lacks a part."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            source = file.read_bytes()
        except OSError as error:
            raise ProblemError("raises", f"{file}: cannot be read: {error.strerror}") from error
        self.sha256 = hashlib.sha256(source).hexdigest()
        self._module = self._import()
        missing = [part for part in PARTS if not callable(getattr(self._module, part, None))]
        if missing:
            allowed = f"allowed {', '.join(PARTS)}"
            raise ProblemError("form", f"{file} has no {', '.join(missing)}; {allowed}")
        self.init_text = self._read_init()

    def make_inputs(self) -> list[Any]:
        """Return what `get_inputs` gives; whatever it raises passes through."""
        given = self._module.get_inputs()
        if not isinstance(given, list | tuple):
            allowed = "allowed a list of tensors, one for each argument of forward"
            raise ProblemError("tensors", f"get_inputs gives a {type(given).__name__}; {allowed}")
        return list(given)

    def make_model(self, seed: int = 0) -> nn.Module:
        """Return a fresh reference, in train mode as it is made; whatever it raises passes through."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._module.Model(*ast.literal_eval(self.init_text))
        if not isinstance(model, nn.Module):
            raise ProblemError("form", f"Model is a {type(model).__name__}, allowed an nn.Module")
        return model

    def _import(self) -> Any:
        name = f"kernelgate_problem_{self.sha256[:16]}"
        loader = _Loader(name, str(self.file))
        specification = importlib.util.spec_from_file_location(name, self.file, loader=loader)
        assert specification is not None  # its loader is given
        module = importlib.util.module_from_spec(specification)
        try:
            loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise ProblemError.of(f"{self.file} as it is imported", error) from error
        return module

    def _read_init(self) -> str:
        """Return the text of what `get_init_inputs` gives, from which every process makes the same."""
        given = list(self._module.get_init_inputs())
        try:
            text = repr(given)
            ast.literal_eval(text)
        except (ValueError, SyntaxError) as error:
            allowed = "allowed numbers, texts, None, and lists, tuples and dicts of them"
            raise ProblemError("form", f"get_init_inputs gives {text[:200]}; {allowed}") from error
        return text
