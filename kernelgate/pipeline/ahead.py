"""What later stages need, imported while an earlier one waits for its workers."""

import importlib
import threading
from contextlib import suppress


def import_ahead(*modules: str) -> None:
    """Begin to import the modules, in order, without waiting; one that cannot be imported fails in use.

    A process ends after that has ended.
    """
    threading.Thread(target=_import, args=(modules,), name="imports").start()


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)
