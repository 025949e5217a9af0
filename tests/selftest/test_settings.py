"""The table of settings: what is loaded, and that each fault in it is named."""

from pathlib import Path

import pytest

from kernelgate.compilation.stage_rules import STAGES
from kernelgate.operations.operation import OPERATIONS
from kernelgate.settings import Settings, SettingsError, load_settings

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
KERNELS = PROJECT.parent / "kernels"

SOUND = """\
[tool.kernelgate]
operation = "alexnet_conv1"
stage = "open"

[tool.kernelgate.limits]
kernel_file_bytes = 1000
output_bytes = 2000
host_memory_bytes = 3000
gpu_memory_bytes = 4000
load_timeout_s = 5
run_timeout_s = 6.5
open_configs = 7

[tool.kernelgate.correctness]
sampled_programs = 10
shrink_seconds = 11.0

[tool.kernelgate.correctness.profiles]
ci = { examples = 8, draw_seconds = 9.0, fixed = true }
default = { examples = 12, draw_seconds = 13.0, fixed = false }
nightly = { examples = 14, draw_seconds = 15.0, fixed = false }

[tool.kernelgate.performance]
looks = [4, 6, 8, 10]
blocks = 24
launches = 7
noise_gain = 0.01
proven_gain = 0.02
max_half_width = 0.005
max_control_offset = 0.005
max_replicate_spread = 0.02
max_environment_drift = 0.02
"""


def load(folder: Path, text: str) -> Settings:
    file = folder / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def plant(old: str, new: str) -> str:
    assert SOUND.count(old) == 1
    return SOUND.replace(old, new)


def refuse(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    assert str(folder / "pyproject.toml") in str(caught.value)
    return str(caught.value)


def test_the_projects_own_table_loads() -> None:
    """What the repository holds names a known operation and stage, and the lines of the 1-2 % rule."""
    settings = load_settings(PROJECT)
    assert settings.operation in OPERATIONS
    assert settings.stage in STAGES
    assert all((KERNELS / f"{name}.py").is_file() for name in settings.stages)
    assert (settings.performance.noise_gain, settings.performance.proven_gain) == (0.01, 0.02)


def test_every_value_arrives_where_it_belongs(tmp_path: Path) -> None:
    """The table that the planted faults start from is sound, and is read as it says."""
    settings = load(tmp_path, SOUND)
    assert settings.limits.run_timeout_s == 6.5
    assert settings.correctness.sampled_programs == 10
    assert [(each.examples, each.fixed) for each in settings.correctness.profiles.values()] == [
        (8, True),
        (12, False),
        (14, False),
    ]
    assert settings.performance.max_replicate_spread == 0.02


def test_a_kernel_file_may_have_a_stage_of_its_own(tmp_path: Path) -> None:
    """By its name, wherever it lies; all others have the one stage."""
    settings = load(tmp_path, SOUND + '\n[tool.kernelgate.stages]\nanew = "final-micro-tuning"\n')
    assert settings.stage_of(Path("kernels/anew.py")) == "final-micro-tuning"
    assert settings.stage_of(Path("kernels/anew_too.py")) == "open"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("sampled_programs = 10", "sampled_programs = 10\ntolerance = 1.0", "tolerance"),
        ("sampled_programs = 10", "sampled_programs = 0", "sampled_programs"),
        ("shrink_seconds = 11.0", "shrink_seconds = 100_000.0", "shrink_seconds"),
        ("examples = 8,", "examples = 8, tolerance = 1.0,", "tolerance"),
        ("examples = 8,", "examples = 0,", "examples"),
        ("examples = 8, ", "", "examples"),
        ("ci = {", "quick = {", "profiles lack ci"),
        ("default = {", "often = {", "profiles lack default"),
        ("nightly = {", "weekly = {", "profiles lack nightly"),
        ('stage = "open"', 'stage = "open"\nstrict = false', "strict"),
        ('stage = "open"', 'stage = "opened"', "stage"),
        ('stage = "open"', 'stage = "open"\nstages = { a = "opened" }', "stages"),
        ("open_configs = 7\n", "", "open_configs"),
        ("max_half_width = 0.005\n", "", "max_half_width"),
        ('operation = "alexnet_conv1"\n', "", "operation"),
        ("output_bytes = 2000", 'output_bytes = "2000"', "output_bytes"),
        ("output_bytes = 2000", "output_bytes = 2000.5", "output_bytes"),
        ("output_bytes = 2000", "output_bytes = true", "output_bytes"),
        ("output_bytes = 2000", "output_bytes = 0", "output_bytes"),
        ("load_timeout_s = 5", "load_timeout_s = -5", "load_timeout_s"),
        ("load_timeout_s = 5", "load_timeout_s = inf", "load_timeout_s"),
        ("draw_seconds = 9.0", "draw_seconds = nan", "draw_seconds"),
        ("fixed = true", "fixed = 1", "fixed"),
        ("looks = [4, 6, 8, 10]", "looks = [3, 6]", "must ascend from 4"),
        ("looks = [4, 6, 8, 10]", "looks = [4, 65]", "64 or fewer"),
        ("looks = [4, 6, 8, 10]", "looks = [4, 4]", "must ascend"),
        ("looks = [4, 6, 8, 10]", "looks = []", "must ascend"),
        ("blocks = 24", "blocks = 23", "blocks"),
        ("blocks = 24", "blocks = 0", "blocks"),
        ("launches = 7", "launches = 1", "launches"),
        ("noise_gain = 0.01", "noise_gain = 0.0", "noise_gain"),
        ("noise_gain = 0.01", "noise_gain = nan", "noise_gain"),
        ("proven_gain = 0.02", "proven_gain = 1.0", "proven_gain"),
        ("max_environment_drift = 0.02", "max_environment_drift = inf", "max_environment_drift"),
        ("noise_gain = 0.01", "noise_gain = 0.02", "must lie below proven_gain"),
        ("noise_gain = 0.01", "noise_gain = 0.03", "must lie below proven_gain"),
    ],
)
def test_a_fault_in_the_table_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    """An unknown or missing key, a wrong type and a value out of range are errors that name the key."""
    assert named in refuse(tmp_path, plant(old, new))


@pytest.mark.parametrize(
    "text", ["", "[tool.other]\na = 1\n", "tool = 3\n", 'tool = "kernelgate"\n', "tool = []\n"]
)
def test_a_file_without_the_table_is_refused(tmp_path: Path, text: str) -> None:
    """There are no defaults to fall back on."""
    assert "[tool.kernelgate]" in refuse(tmp_path, text)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    """A number in the table's place is no settings."""
    assert "[tool.kernelgate]" in refuse(tmp_path, "[tool]\nkernelgate = 3\n")


@pytest.mark.parametrize("text", ["[tool.kernelgate", "a = 1\na = 2\n", "= 1"])
def test_bad_toml_is_refused(tmp_path: Path, text: str) -> None:
    """What does not parse is an error of the settings, with the place."""
    assert "cannot be read" in refuse(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is an error of the settings."""
    file = tmp_path / "pyproject.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        load_settings(tmp_path / "nowhere.toml")
