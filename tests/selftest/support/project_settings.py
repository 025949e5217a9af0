"""The project's own settings, for tests of what is judged by them."""

from pathlib import Path

from kernelgate.settings import load_settings

PROJECT = load_settings(Path(__file__).parents[3] / "pyproject.toml")
PERFORMANCE, LAWS, RULES = PROJECT.performance, PROJECT.laws, PROJECT.stage_rules
