"""The command `kernelgate`: its subcommands, its help texts, and how it ends."""

import ast
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kernelgate import __version__
from kernelgate.cli.main import SUBCOMMANDS, main
from kernelgate.errors import KernelgateError

ROOT = Path(__file__).parents[3]
NAMES = [subcommand.__name__.rpartition(".")[2].replace("_", "-") for subcommand in SUBCOMMANDS]
HEAVY = ("torch", "triton", "scipy", "hypothesis", "numpy")
ASK_FOR_HELP = """
import contextlib, io, sys
from kernelgate.cli.main import main
for words in ([], *([name] for name in sys.argv[1:])):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main([*words, "--help"])
print(sorted(sys.modules))
"""


def test_no_help_text_waits_for_an_import() -> None:
    """Neither that of the command nor that of a subcommand."""
    command = [sys.executable, "-c", ASK_FOR_HELP, *NAMES]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(ended.stdout)
    assert "kernelgate.cli.tune" in loaded
    assert set(HEAVY) & set(loaded) == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_subcommand_stands_in_a_file_of_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So that a reader finds it in one step."""
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: kernelgate {name} ")


def test_the_installed_command_is_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It says its version, and that of the package is the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pkgutil.resolve_name(project["project"]["scripts"]["kernelgate"]) is main
    source = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert pkgutil.resolve_name(source.replace(".__", ":__")) == __version__
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"kernelgate {__version__}\n"


@pytest.mark.parametrize("error", [KernelgateError("no room"), OSError("no room")])
def test_an_expected_error_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, with exit code 1."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("kernelgate.doctor.noise.examine", fail)
    assert main(["doctor", "--root", str(ROOT)]) == 1
    assert capsys.readouterr().err == "kernelgate: no room\n"


def test_an_error_of_the_gate_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps its traceback."""
    monkeypatch.setattr("kernelgate.doctor.noise.examine", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["doctor", "--root", str(ROOT)])
