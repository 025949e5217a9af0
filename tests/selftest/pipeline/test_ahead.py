"""What later stages need is imported beside the stage at work."""

import sys
import threading
from pathlib import Path

import pytest

from kernelgate.pipeline.ahead import import_ahead


def test_modules_are_imported_in_order_and_one_that_fails_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever needs it meets its error."""
    (tmp_path / "later_one.py").write_text("", encoding="utf-8")
    (tmp_path / "later_broken.py").write_text("raise OSError('no such library')", encoding="utf-8")
    (tmp_path / "later_two.py").write_text("import later_one", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import_ahead("later_one", "later_broken", "later_two")
    for thread in threading.enumerate():
        if thread.name == "imports":
            thread.join(30)
    assert {"later_one", "later_two"} <= set(sys.modules)
    assert "later_broken" not in sys.modules
