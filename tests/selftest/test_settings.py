"""The table of settings: what is loaded, and that each fault in it is named."""

import re
from pathlib import Path

import msgspec
import pytest

from kernelgate import settings
from kernelgate.compilation.stage_rules import STAGES
from kernelgate.operations import OPERATIONS
from kernelgate.settings import SHIPPED, Settings, SettingsError, find_project, load_settings

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
whole_run_factor = 3
open_configs = 7

[tool.kernelgate.stage-rules]
min_configs = 3
max_configs = 6
warps = [2, 4, 8, 16]
stages = [2, 3, 4]
max_stages_step = 1

[tool.kernelgate.laws]
max_error_ratio = 4.0
min_ratio_elements = 256
busiest_margin = 1.002

[tool.kernelgate.correctness]
sampled_programs = 10
shrink_seconds = 11.0

[tool.kernelgate.correctness.profiles]
ci = { examples = 8, draw_seconds = 9.0, swept = 30, fixed = true }
default = { examples = 12, draw_seconds = 13.0, swept = 30, fixed = false }
nightly = { examples = 14, draw_seconds = 15.0, swept = 30, fixed = false }

[tool.kernelgate.performance]
looks = [4, 6, 8, 10]
attempts = 2
blocks = 24
blocks_per_layout = 4
launches = 7
judged_elements = 1024
confidence = 0.95
boundary_shape = 0.25
trimmed_share = 0.1
noise_gain = 0.01
proven_gain = 0.02
max_half_width = 0.005
max_control_offset = 0.005
max_replicate_spread = 0.02
max_environment_drift = 0.02
max_creep = 0.03
max_choice_effect = 0.004
max_clocks_apart = 0.006
min_cluster_gap = 0.007
cluster_gap_to_spread = 3.5
max_throttled_share = 0.15
max_overhead_ms = 0.08
max_overhead_share = 0.001
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
    own = load_settings(PROJECT)
    assert own.operation in OPERATIONS
    assert own.stage in STAGES
    assert all((KERNELS / f"{name}.py").is_file() for name in own.stages)
    assert (own.performance.noise_gain, own.performance.proven_gain) == (0.01, 0.02)


def test_every_value_arrives_where_it_belongs(tmp_path: Path) -> None:
    """The table that the planted faults start from is sound, and is read as it says."""
    read = load(tmp_path, SOUND)
    assert read.limits.run_timeout_s == 6.5
    assert read.correctness.sampled_programs == 10
    assert [(each.examples, each.fixed) for each in read.correctness.profiles.values()] == [
        (8, True),
        (12, False),
        (14, False),
    ]
    assert read.performance.max_replicate_spread == 0.02


def test_a_kernel_file_may_have_a_stage_of_its_own(tmp_path: Path) -> None:
    """By its name, wherever it lies; all others have the one stage."""
    read = load(tmp_path, SOUND + '\n[tool.kernelgate.stages]\nanew = "final-micro-tuning"\n')
    assert read.stage_of(Path("kernels/anew.py")) == "final-micro-tuning"
    assert read.stage_of(Path("kernels/anew_too.py")) == "open"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("sampled_programs = 10", "sampled_programs = 10\ntolerance = 1.0", "tolerance"),
        ("sampled_programs = 10", "sampled_programs = 0", "sampled_programs"),
        ("shrink_seconds = 11.0", "shrink_seconds = 100_000.0", "shrink_seconds"),
        ("examples = 8,", "examples = 8, tolerance = 1.0,", "tolerance"),
        ("examples = 8,", "examples = 0,", "examples"),
        ('stage = "open"', 'stage = "open"\nstrict = false', "strict"),
        ('stage = "open"', 'stage = "opened"', "stage"),
        ('stage = "open"', 'stage = "open"\nstages = { a = "opened" }', "stages"),
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
        ("attempts = 2", "attempts = 0", "attempts"),
        ("blocks_per_layout = 4", "blocks_per_layout = 5", "must be a multiple of blocks_per_layout 5"),
        ("judged_elements = 1024", "judged_elements = 0", "judged_elements"),
        ("confidence = 0.95", "confidence = 1.0", "confidence"),
        ("boundary_shape = 0.25", "boundary_shape = 0.6", "boundary_shape"),
        ("trimmed_share = 0.1", "trimmed_share = 0.5", "trimmed_share"),
        ("max_creep = 0.03", "max_creep = 0.0", "max_creep"),
        ("max_choice_effect = 0.004", "max_choice_effect = nan", "max_choice_effect"),
        ("max_clocks_apart = 0.006", "max_clocks_apart = 1.0", "max_clocks_apart"),
        ("min_cluster_gap = 0.007", "min_cluster_gap = -0.1", "min_cluster_gap"),
        ("cluster_gap_to_spread = 3.5", "cluster_gap_to_spread = 0.5", "cluster_gap_to_spread"),
        ("max_throttled_share = 0.15", "max_throttled_share = 1.0", "max_throttled_share"),
        ("max_overhead_ms = 0.08", "max_overhead_ms = inf", "max_overhead_ms"),
        ("max_overhead_share = 0.001", "max_overhead_share = 1.0", "max_overhead_share"),
        ("whole_run_factor = 3", "whole_run_factor = 0", "whole_run_factor"),
        ("max_error_ratio = 4.0", "max_error_ratio = 8.0", "max_error_ratio"),
        ("min_ratio_elements = 256", "min_ratio_elements = 1", "min_ratio_elements"),
        ("busiest_margin = 1.002", "busiest_margin = 0.9", "busiest_margin"),
        ("min_configs = 3", "min_configs = 7", "min_configs 7 is over max_configs 6"),
        ("warps = [2, 4, 8, 16]", "warps = [3]", "warps"),
        ("warps = [2, 4, 8, 16]", "warps = []", "warps [] must ascend"),
        ("stages = [2, 3, 4]", "stages = [4, 2]", "stages [4, 2] must ascend"),
        ("max_stages_step = 1", "max_stages_step = 0", "max_stages_step"),
    ],
)
def test_a_fault_in_the_table_is_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    """An unknown or missing key, a wrong type and a value out of range are errors that name the key."""
    assert named in refuse(tmp_path, plant(old, new))


def test_a_key_that_is_left_out_has_its_shipped_value(tmp_path: Path) -> None:
    """In tables within tables too."""
    shipped = load_settings(None)
    own = load(tmp_path, "[tool.kernelgate]\ncorrectness.profiles.ci.examples = 3\n")
    profiles = shipped.correctness.profiles
    few = msgspec.structs.replace(profiles["ci"], examples=3)
    correctness = msgspec.structs.replace(shipped.correctness, profiles=profiles | {"ci": few})
    assert own == msgspec.structs.replace(shipped, correctness=correctness)


@pytest.mark.parametrize(
    "line",
    # Raw samples may be older than the last of these.
    [line for line in SHIPPED.read_text().splitlines() if re.match("(?!layouts_per)[a-z_]+ = ", line)],
)
def test_no_shipped_key_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """There is no default in the code that would decide in its place."""
    key = line.partition(" = ")[0]
    fewer = tmp_path / "settings.toml"
    fewer.write_text(SHIPPED.read_text().replace(f"{line}\n", "", 1))
    monkeypatch.setattr(settings, "SHIPPED", fewer)
    with pytest.raises(SettingsError, match=key):
        load_settings(None)


@pytest.mark.parametrize("value", ["3", "[]", '"a"'])
def test_what_takes_a_tables_place_must_be_a_table(tmp_path: Path, value: str) -> None:
    """Nothing is laid over it."""
    assert "limits" in refuse(tmp_path, f"[tool.kernelgate]\nlimits = {value}\n")


def test_a_project_is_found_from_a_folder_within(tmp_path: Path) -> None:
    """The nearest one; a pyproject.toml of something else is none."""
    within = tmp_path / "a" / "b"
    within.mkdir(parents=True)
    (within / "pyproject.toml").write_text("[tool.other]\n")
    assert find_project(within) is None
    (tmp_path / "pyproject.toml").write_text("[tool.kernelgate]\n")
    assert find_project(within) == tmp_path


@pytest.mark.parametrize(
    "text", ["", "[tool.other]\na = 1\n", "tool = 3\n", 'tool = "kernelgate"\n', "tool = []\n"]
)
def test_a_file_without_the_table_is_refused(tmp_path: Path, text: str) -> None:
    """It is no project of the gate's."""
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
