"""Records of accepted kernels: what is loaded, what is refused, and how one takes another's place."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelgate.baselines.compiled import ConfigRecord, LaunchRecord
from kernelgate.baselines.records import Accepted, CompileRecord, SpeedRecord, gpu_slug
from kernelgate.baselines.store import (
    MAX_RECORD_BYTES,
    NEXT_STEPS,
    BaselineError,
    accept,
    load_compile,
    load_speed,
    propose,
    record_path,
    recorded_gpus,
)
from kernelgate.machine.versions import Provenance
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.made_up_launches import make_launch

NAME = ALEXNET_CONV1.name
GPU = "NVIDIA H200"
SHA = "a" * 64
OTHER_SHA = "b" * 64

ENVIRONMENT = Provenance(
    python="3.11.9", torch="2.11.0", triton="3.6.0", cuda="13.0", cudnn="9.1", driver="unknown"
)
HISTORY = (Accepted(date="2025-01-31", reason="first record", kernel_sha256=OTHER_SHA),)
SPEED_RECORD = SpeedRecord(
    operation=NAME,
    gpu=GPU,
    kernel_sha256=SHA,
    batch=256,
    environment=ENVIRONMENT,
    log_ratio_original=-0.0934,
    log_ratio_vendor=0.21,
    error_original=0.0004,
    error_vendor=0.0005,
    process_sd=0.0006,
    replicates=4,
    time_ms={"accepted": 0.91, "original": 1.0},
    history=HISTORY,
)
LAUNCH = make_launch(
    kernel="conv_kernel",
    arguments_sha256=SHA,
    code_sha256=OTHER_SHA,
    registers=168,
    shared_bytes=24576,
    blocks_per_sm=3,
    warps_per_sm=12,
    products=("fma", "tf32"),
)
CONFIG = ConfigRecord(config=ALEXNET_CONV1.original.config, launches=(LAUNCH,), error="")
COMPILE_RECORD = CompileRecord(
    operation=NAME,
    target="sm_89",
    kernel_sha256=SHA,
    triton="3.6.0",
    ptxas="12.9",
    configs=(CONFIG, ConfigRecord(config=ALEXNET_CONV1.original.config, launches=(), error="over 99 KB")),
    history=(),
)
GOOD_BYTES = msgspec.json.format(msgspec.json.encode(SPEED_RECORD), indent=2) + b"\n"

any_example = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load(path: Path) -> SpeedRecord:
    return load_speed(path, operation=NAME, gpu=GPU, kernel_sha256=SHA)


def try_load(path: Path) -> SpeedRecord | BaselineError:
    try:
        return load(path)
    except BaselineError as error:
        return error


def refuse(path: Path, data: bytes) -> BaselineError:
    path.write_bytes(data)
    with pytest.raises(BaselineError) as caught:
        load(path)
    return caught.value


def edited(**changes: object) -> bytes:
    return json.dumps({**json.loads(GOOD_BYTES), **changes}).encode()


def put_in_place(root: Path, record: SpeedRecord = SPEED_RECORD) -> Path:
    path = record_path(root, NAME, gpu_slug(record.gpu))
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(record))
    return path


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("NVIDIA H200", "nvidia-h200"),
        ("NVIDIA GeForce RTX 4090", "nvidia-geforce-rtx-4090"),
        ("../../etc/passwd", "etc-passwd"),
        (" NVIDIA  H100/PCIe ", "nvidia-h100-pcie"),
    ],
)
def test_a_gpu_names_one_file_and_no_folder(name: str, slug: str) -> None:
    """Whatever a driver calls a GPU, its slug has letters, digits and dashes only."""
    assert gpu_slug(name) == slug
    path = record_path(Path("root"), NAME, slug)
    assert path == Path("root") / "baselines" / NAME / f"{slug}.json"


@pytest.mark.parametrize("name", ["", " ", "///"])
def test_a_gpu_without_a_name_is_refused(name: str) -> None:
    """An empty slug would be a file that any GPU matches."""
    with pytest.raises(ValueError, match="gpu is"):
        gpu_slug(name)


def test_a_speed_proposal_is_read_back_equal(tmp_path: Path) -> None:
    """What is proposed is what is loaded, as indented JSON with a newline at its end."""
    path = propose(SPEED_RECORD, tmp_path / "report")
    assert path == tmp_path / "report" / "baseline.proposed.json"
    assert path.read_bytes() == GOOD_BYTES
    assert load(path) == SPEED_RECORD


def test_the_gpus_of_an_operation_are_those_with_a_speed_record(tmp_path: Path) -> None:
    """A compile record is of none; a broken record is an error, never a GPU less."""
    assert recorded_gpus(tmp_path, NAME) == ()
    folder = record_path(tmp_path, NAME, "nvidia-h200").parent
    folder.mkdir(parents=True)
    propose(SPEED_RECORD, folder).rename(folder / "nvidia-h200.json")
    propose(COMPILE_RECORD, folder).rename(folder / "sm_89.json")
    assert recorded_gpus(tmp_path, NAME) == (GPU,)
    (folder / "nvidia-h200.json").write_text("{", encoding="utf-8")
    with pytest.raises(BaselineError, match="truncated"):
        recorded_gpus(tmp_path, NAME)


def test_a_compile_proposal_is_read_back_equal(tmp_path: Path) -> None:
    """A compile record has a name of its own in the report, so that neither overwrites the other."""
    path = propose(COMPILE_RECORD, tmp_path)
    assert path == tmp_path / "compile.proposed.json"
    assert load_compile(path, operation=NAME, target="sm_89") == COMPILE_RECORD


@pytest.mark.parametrize(
    ("reason", "asked"),
    [
        ("other-operation", {"operation": "other"}),
        ("other-gpu", {"gpu": "NVIDIA H100"}),
        ("other-gpu", {"gpu": "nvidia-h200"}),
        ("stale", {"kernel_sha256": OTHER_SHA}),
    ],
)
def test_a_record_of_something_else_is_refused(tmp_path: Path, reason: str, asked: dict[str, str]) -> None:
    """A record counts for its own operation, GPU and kernel only, and the message has both names."""
    path = propose(SPEED_RECORD, tmp_path)
    with pytest.raises(BaselineError) as caught:
        load_speed(path, **{"operation": NAME, "gpu": GPU, "kernel_sha256": SHA, **asked})
    assert caught.value.reason == reason
    for part in (str(path), *asked.values(), NEXT_STEPS[reason]):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("reason", "operation", "target"),
    [("other-operation", "other", "sm_89"), ("other-gpu", NAME, "sm_90")],
)
def test_a_compile_record_of_something_else_is_refused(
    tmp_path: Path, reason: str, operation: str, target: str
) -> None:
    """A compile record counts for its own operation and architecture only."""
    path = propose(COMPILE_RECORD, tmp_path)
    with pytest.raises(BaselineError) as caught:
        load_compile(path, operation=operation, target=target)
    assert caught.value.reason == reason


def test_a_launch_of_an_older_record_says_nothing_of_its_products(tmp_path: Path) -> None:
    """A record from before they were read is still one."""
    path = propose(COMPILE_RECORD, tmp_path)
    document = json.loads(path.read_bytes())
    for launch in document["configs"][0]["launches"]:
        del launch["products"], launch["narrow"]
    path.write_text(json.dumps(document))
    (launch,) = load_compile(path, operation=NAME, target="sm_89").configs[0].launches
    assert (launch.products, launch.narrow) == ((), ())


def test_a_missing_record_says_so(tmp_path: Path) -> None:
    """No file, no folder, and a file where a folder should be are all a missing record."""
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "no.json", tmp_path / "no" / "no.json", tmp_path / "file" / "no.json"):
        with pytest.raises(BaselineError) as caught:
            load(path)
        assert caught.value.reason == "missing"


def test_what_is_no_regular_file_is_unreadable(tmp_path: Path) -> None:
    """A folder, a pipe and a link are refused without waiting on them."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "good").write_bytes(GOOD_BYTES)
    (tmp_path / "link").symlink_to(tmp_path / "good")
    for name in ("folder", "pipe", "link"):
        with pytest.raises(BaselineError) as caught:
            load(tmp_path / name)
        assert caught.value.reason == "unreadable"


def test_a_record_at_the_size_cap_loads_and_one_byte_more_does_not(tmp_path: Path) -> None:
    """The cap is on the file's bytes."""
    path = tmp_path / "record.json"
    path.write_bytes(GOOD_BYTES.ljust(MAX_RECORD_BYTES))
    assert load(path) == SPEED_RECORD
    assert refuse(path, GOOD_BYTES.ljust(MAX_RECORD_BYTES + 1)).reason == "unreadable"


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("truncated", b""),
        ("truncated", b"{"),
        ("unreadable", b"{]}"),
        ("unreadable", b'{"a": "\xff"}'),
        ("unreadable", b"\xef\xbb\xbf{}"),
        ("unreadable", GOOD_BYTES + b"{}"),
        ("unreadable", GOOD_BYTES.replace(b'"batch": 256', b'"batch": 256, "batch": 1')),
        ("unreadable", GOOD_BYTES.replace(b'"triton": "3.6.0"', b'"triton": "3.6.0", "triton": "3.6.0"')),
        ("unreadable", GOOD_BYTES.replace(b"-0.0934", b"NaN")),
        ("unreadable", GOOD_BYTES.replace(b"-0.0934", b"-Infinity")),
        ("unreadable", GOOD_BYTES.replace(b"-0.0934", b"9" * 5000)),
        ("unreadable", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        ("other-schema", b"[]"),
        ("other-schema", b"{}"),
        ("other-schema", edited(schema="kernelgate.speed/2")),
        ("other-schema", edited(schema="kernelgate.compile/1")),
        ("other-schema", edited(schema=[])),
        ("other-schema", b'{"schema": "\\ud800"}'),
        ("invalid", GOOD_BYTES.replace(b"-0.0934", b"1e999")),
        ("invalid", GOOD_BYTES.replace(b"NVIDIA H200", b"\\ud800")),
        ("invalid", edited(extra=1)),
    ],
)
def test_a_malformed_record_is_refused_by_its_fault(tmp_path: Path, reason: str, data: bytes) -> None:
    """Each way of not being a record has its own reason, and none ends in another exception."""
    assert refuse(tmp_path / "record.json", data).reason == reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kernel_sha256", "A" * 64),
        ("kernel_sha256", "a" * 63),
        ("kernel_sha256", "a" * 64 + "\n"),
        ("gpu", ""),
        ("batch", 0),
        ("batch", 256.5),
        ("batch", "256"),
        ("batch", True),
        ("replicates", 3),
        ("log_ratio_original", "fast"),
        ("log_ratio_vendor", None),
        ("error_original", 0.0),
        ("error_original", -0.1),
        ("error_vendor", 0.0),
        ("process_sd", 0.0),
        ("time_ms", {"accepted": 0.0}),
        ("environment", {}),
        ("history", [{"date": "2025-02-30", "reason": "x", "kernel_sha256": SHA}]),
        ("history", [{"date": "20250130", "reason": "x", "kernel_sha256": SHA}]),
        ("history", [{"date": "2025-01-30", "reason": " ", "kernel_sha256": SHA}]),
        ("history", [{"date": "2025-01-30", "reason": "two\nlines", "kernel_sha256": SHA}]),
    ],
)
def test_a_field_out_of_range_is_invalid_and_named(tmp_path: Path, field: str, value: object) -> None:
    """The message says which field of which file."""
    error = refuse(tmp_path / "record.json", edited(**{field: value}))
    assert error.reason == "invalid"
    assert field in str(error)
    assert str(tmp_path) in str(error)


@pytest.mark.parametrize("field", sorted(msgspec.json.decode(GOOD_BYTES).keys() - {"schema"}))
def test_a_field_that_is_missing_is_invalid_and_named(tmp_path: Path, field: str) -> None:
    """No field has a default that a deleted line would fall back on."""
    document = json.loads(GOOD_BYTES)
    del document[field]
    error = refuse(tmp_path / "record.json", json.dumps(document).encode())
    assert error.reason == "invalid"
    assert field in str(error)


@pytest.mark.parametrize("field", ["log_ratio_original", "error_original", "process_sd"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_record_of_no_number_cannot_be_built(field: str, value: float) -> None:
    """A NaN is stopped before it is written, not only when it is read."""
    with pytest.raises(ValueError, match=field):
        SpeedRecord(**{**msgspec.structs.asdict(SPEED_RECORD), field: value})


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": ""},
        {"grid": (0, 1, 1)},
        {"arguments_sha256": "x"},
        {"code_sha256": "x"},
        {"registers": -1},
        {"stack_bytes": -1},
        {"warps_per_sm": -1},
    ],
)
def test_a_launch_out_of_range_is_refused(change: dict[str, object]) -> None:
    """A launch that no compiler reports is not recorded."""
    with pytest.raises(ValueError, match=next(iter(change))):
        LaunchRecord(**{**msgspec.structs.asdict(LAUNCH), **change})


@pytest.mark.parametrize(("launches", "error"), [((), ""), ((LAUNCH,), "over 99 KB")])
def test_a_config_has_launches_or_an_error(launches: tuple[LaunchRecord, ...], error: str) -> None:
    """A config that neither ran nor says why would be an untested one that looks tested."""
    with pytest.raises(ValueError, match="launches or an error"):
        ConfigRecord(config=CONFIG.config, launches=launches, error=error)


@pytest.mark.parametrize("change", [{"target": "../sm_89"}, {"target": "sm_89\n"}, {"configs": ()}])
def test_a_compile_record_out_of_range_is_refused(change: dict[str, object]) -> None:
    """The target names a file, and no configs would be a kernel never compiled."""
    fields = {name: getattr(COMPILE_RECORD, name) for name in CompileRecord.__struct_fields__}
    with pytest.raises(ValueError, match=next(iter(change))):
        CompileRecord(**{**fields, **change})


@any_example
@given(length=st.integers(0, len(GOOD_BYTES)))
def test_a_truncated_record_loads_equal_or_is_called_truncated(tmp_path: Path, length: int) -> None:
    """A file cut anywhere but after its last brace is never half believed."""
    path = tmp_path / "record.json"
    path.write_bytes(GOOD_BYTES[:length])
    result = try_load(path)
    assert result == SPEED_RECORD or result.reason == "truncated"


@any_example
@given(flips=st.lists(st.tuples(st.integers(0, len(GOOD_BYTES) - 1), st.integers(1, 255)), min_size=1))
def test_flipped_bytes_load_a_valid_record_or_a_baseline_error(
    tmp_path: Path, flips: list[tuple[int, int]]
) -> None:
    """No byte of a record can raise anything but a BaselineError; what loads is a record of this kernel."""
    data = bytearray(GOOD_BYTES)
    for position, mask in flips:
        data[position] ^= mask
    path = tmp_path / "record.json"
    path.write_bytes(data)
    result = try_load(path)
    if isinstance(result, SpeedRecord):
        assert (result.operation, result.gpu, result.kernel_sha256) == (NAME, GPU, SHA)
        assert msgspec.json.decode(msgspec.json.encode(result), type=SpeedRecord) == result
    else:
        assert result.reason in NEXT_STEPS


@any_example
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_baseline_error(tmp_path: Path, data: bytes) -> None:
    """What is not a record is refused, whatever it is."""
    assert refuse(tmp_path / "record.json", data).reason in NEXT_STEPS


def test_accept_puts_the_proposal_in_place_with_its_reason(tmp_path: Path) -> None:
    """The first record of a GPU starts its history; a history in the proposal is not believed."""
    proposal = propose(SPEED_RECORD, tmp_path / "report")
    path = accept(proposal, tmp_path, "first record", SHA)
    assert path == tmp_path / "baselines" / NAME / "nvidia-h200.json"
    record = load(path)
    assert [line.reason for line in record.history] == ["first record"]
    assert msgspec.structs.replace(record, history=HISTORY) == SPEED_RECORD


def test_accept_carries_the_history_of_the_record_in_place(tmp_path: Path) -> None:
    """Each acceptance adds one line, with its kernel, and loses none."""
    path = put_in_place(tmp_path)
    changed = msgspec.structs.replace(SPEED_RECORD, kernel_sha256=OTHER_SHA, history=())
    accept(propose(changed, tmp_path / "report"), tmp_path, "fewer registers", OTHER_SHA)
    history = msgspec.json.decode(path.read_bytes(), type=SpeedRecord).history
    assert history[0] == HISTORY[0]
    assert [(line.reason, line.kernel_sha256) for line in history[1:]] == [("fewer registers", OTHER_SHA)]


def test_accept_puts_a_compile_record_under_its_target(tmp_path: Path) -> None:
    """Compile records of the same operation lie beside its speed records."""
    path = accept(propose(COMPILE_RECORD, tmp_path / "report"), tmp_path, "first record", SHA)
    assert path == tmp_path / "baselines" / NAME / "sm_89.json"
    assert load_compile(path, operation=NAME, target="sm_89").history[0].reason == "first record"


@pytest.mark.parametrize("reason", ["", "  ", "\n", "two\nlines"])
def test_accept_refuses_an_empty_reason(tmp_path: Path, reason: str) -> None:
    """A history line that says nothing is not one."""
    with pytest.raises(BaselineError) as caught:
        accept(propose(SPEED_RECORD, tmp_path), tmp_path, reason, SHA)
    assert caught.value.reason == "no-reason"
    assert not (tmp_path / "baselines").exists()


def test_accept_refuses_a_proposal_of_another_kernel(tmp_path: Path) -> None:
    """A proposal is for the kernel file as it is now."""
    with pytest.raises(BaselineError) as caught:
        accept(propose(SPEED_RECORD, tmp_path), tmp_path, "why", OTHER_SHA)
    assert caught.value.reason == "stale"
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize("operation", ["other", "../../elsewhere", ""])
def test_accept_refuses_an_unknown_operation(tmp_path: Path, operation: str) -> None:
    """The operation names a folder, so only known ones are let through."""
    proposal = propose(msgspec.structs.replace(SPEED_RECORD, operation=operation), tmp_path)
    with pytest.raises(BaselineError) as caught:
        accept(proposal, tmp_path, "why", SHA)
    assert caught.value.reason == "other-operation"
    assert not (tmp_path / "baselines").exists()


def test_accept_refuses_a_link_and_a_proposal_over_the_cap(tmp_path: Path) -> None:
    """What is put in place is the bytes of the file that was named, and not many of them."""
    proposal = propose(SPEED_RECORD, tmp_path)
    link = tmp_path / "link.json"
    link.symlink_to(proposal)
    large = tmp_path / "large.json"
    large.write_bytes(GOOD_BYTES.ljust(MAX_RECORD_BYTES + 1))
    for path in (link, large):
        with pytest.raises(BaselineError) as caught:
            accept(path, tmp_path, "why", SHA)
        assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("data", [b"", b"{}", GOOD_BYTES.replace(b"H200", b"H100")])
def test_accept_refuses_to_replace_a_record_that_it_cannot_carry_on(tmp_path: Path, data: bytes) -> None:
    """A broken or foreign record in place keeps its bytes until a person has looked at it."""
    path = put_in_place(tmp_path)
    path.write_bytes(data)
    with pytest.raises(BaselineError):
        accept(propose(SPEED_RECORD, tmp_path / "report"), tmp_path, "why", SHA)
    assert path.read_bytes() == data


@pytest.mark.parametrize("step", ["replace", "fsync", "fchmod"])
def test_accept_that_dies_in_the_middle_leaves_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever step fails, the record in place is whole and no temporary file stays."""
    path = put_in_place(tmp_path)
    before = path.read_bytes()
    proposal = propose(SPEED_RECORD, tmp_path / "report")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="the disk is full"):
        accept(proposal, tmp_path, "why", SHA)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_accept_leaves_the_record_alone_in_its_folder(tmp_path: Path) -> None:
    """No temporary file survives a success either, and others may read the record."""
    path = accept(propose(SPEED_RECORD, tmp_path / "report"), tmp_path, "why", SHA)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_two_accepts_at_once_both_stand_in_the_history(tmp_path: Path) -> None:
    """Whoever comes second carries on what the first has written."""
    proposal = propose(SPEED_RECORD, tmp_path / "report")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(accept, proposal, tmp_path, f"number {n}", SHA) for n in range(8)]:
            done.result()
    record = load(record_path(tmp_path, NAME, "nvidia-h200"))
    assert sorted(line.reason for line in record.history) == [f"number {n}" for n in range(8)]


def test_an_accept_that_is_killed_leaves_the_old_record_or_the_new_one(tmp_path: Path) -> None:
    """At whatever moment; and whoever comes next is not kept waiting."""
    path, proposal = put_in_place(tmp_path), propose(SPEED_RECORD, tmp_path / "report")
    # Its imports take seconds, so that each of those killed is a copy of one process.
    script = f"""
import os, sys
from pathlib import Path
from kernelgate.baselines.store import accept
for _ in sys.stdin:
    if copy := os.fork():
        print(copy, flush=True)
        os.waitpid(copy, 0)
        print("ended", flush=True)
    while not copy:
        accept(Path({str(proposal)!r}), Path({str(tmp_path)!r}), "again", {SHA!r})
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for delay_ms in range(5, 50, 5):
            print("one more", file=process.stdin, flush=True)
            copy = int(process.stdout.readline())
            time.sleep(delay_ms / 1000)
            os.kill(copy, signal.SIGKILL)
            assert process.stdout.readline() == "ended\n"
            history = load(path).history
            assert {line.reason for line in history[1:]} <= {"again"}
        process.stdin.close()
    assert len(load(path).history) > 1


def test_the_history_keeps_how_fast_each_kernel_was(tmp_path: Path) -> None:
    """Against the original, which stays the same; what a kernel compiles to has no speed."""
    path = accept(propose(SPEED_RECORD, tmp_path / "report"), tmp_path, "first", SHA)
    (line,) = load(path).history
    assert line.log_ratio_original == SPEED_RECORD.log_ratio_original
    assert line.error_original == SPEED_RECORD.error_original
    accept(propose(COMPILE_RECORD, tmp_path / "report"), tmp_path, "first", SHA)
    compiled = load_compile(record_path(tmp_path, NAME, "sm_89"), operation=NAME, target="sm_89")
    assert compiled.history[0].log_ratio_original is None
    assert b"log_ratio_original" not in record_path(tmp_path, NAME, "sm_89").read_bytes()
