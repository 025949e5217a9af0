"""Proposals and plan books out of a zip that anybody may have made."""

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kernelgate.baselines.kernels import kernel_path
from kernelgate.baselines.store import MAX_RECORD_BYTES, load_speed, record_path
from kernelgate.cli.main import main
from kernelgate.kernel_file.source import read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.pull_request import artifact as artifact_module
from kernelgate.pull_request.artifact import ArtifactError, unpack_books, unpack_proposals
from tests.selftest.support.made_up_records import make_record

ROOT = Path(__file__).resolve().parents[3]
NAME = "changed/alexnet_conv1/baseline.proposed.json"
SHA256 = read_kernel(ROOT / kernel_path(ALEXNET_CONV1.name), 2**20).sha256

Members = list[tuple[str | zipfile.ZipInfo, bytes]]
Pack = Callable[[Members], Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Give what makes a zip of members."""

    def make(members: Members) -> Path:
        archive = tmp_path / "artifact.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members:
                packed.writestr(name, content)
        return archive

    return make


def link_to(target: str, name: str = NAME) -> tuple[zipfile.ZipInfo, bytes]:
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member, target.encode()


def test_proposals_of_each_kind_come_out_under_names_of_ours(pack: Pack, tmp_path: Path) -> None:
    """What else the artifact holds stays in it."""
    compiled = "guarded/alexnet_conv1/compile.proposed.json"
    archive = pack(
        [(NAME, b"one"), ("summary.md", b"#"), (compiled, b"two"), ("changed/x/report.json", b"{}")]
    )
    folder = tmp_path / "out"
    folder.mkdir()
    files = unpack_proposals(archive, folder)
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert sorted(folder.iterdir()) == sorted(files)


@pytest.mark.parametrize(
    "name",
    [
        "../baseline.proposed.json",
        "/etc/cron.d/baseline.proposed.json",
        "changed/../../baselines/baseline.proposed.json",
        "changed/alexnet_conv1/../baseline.proposed.json",
        "changed\\alexnet_conv1\\baseline.proposed.json",
        "changed/alexnet_conv1/baseline.proposed.json/",
        "changed/alexnet_conv1/baseline.proposed.json\n",
        "baseline.proposed.json",
        "changed/Alexnet/baseline.proposed.json",
        "changed/alexnet_conv1/other.proposed.json",
    ],
)
def test_other_paths_stay_packed(pack: Pack, tmp_path: Path, name: str) -> None:
    """Nothing is written, wherever a name leads."""
    before = set(tmp_path.rglob("*"))
    archive = pack([(name, b"{}")])
    assert unpack_proposals(archive, tmp_path) == ()
    assert set(tmp_path.rglob("*")) - before == {archive}


def test_a_link_is_refused(pack: Pack, tmp_path: Path) -> None:
    """It might lead to a secret of the runner."""
    with pytest.raises(ArtifactError, match="no regular file"):
        unpack_proposals(pack([link_to("/etc/passwd")]), tmp_path)


def test_a_file_that_is_too_large_is_not_unpacked(pack: Pack, tmp_path: Path) -> None:
    """A gigabyte of zeros packs into a megabyte; the header may say that it is small."""
    archive = pack([(NAME, b" " * (MAX_RECORD_BYTES + 1))])
    with pytest.raises(ArtifactError, match="larger than"):
        unpack_proposals(archive, tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(pack: Pack, tmp_path: Path) -> None:
    """Which one was looked at would be luck."""
    with pytest.raises(ArtifactError, match="two members"):
        unpack_proposals(pack([(NAME, b"one"), (NAME, b"two")]), tmp_path)


def test_an_archive_of_very_many_members_is_refused(pack: Pack, tmp_path: Path) -> None:
    """Reading their names alone would take long."""
    with pytest.raises(ArtifactError, match="10001 members"):
        unpack_proposals(pack([(f"changed/{number}", b"") for number in range(10_001)]), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"{}" * 1000])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """With its name."""
    archive = tmp_path / "artifact.zip"
    archive.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"artifact\.zip: no archive"):
        unpack_proposals(archive, tmp_path)


def test_a_damaged_member_is_refused(pack: Pack, tmp_path: Path) -> None:
    """Its checksum tells."""
    archive = pack([(NAME, bytes(range(256)) * 40)])
    content = bytearray(archive.read_bytes())
    content[len(NAME) + 60] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ArtifactError, match="no archive that can be read"):
        unpack_proposals(archive, tmp_path)


BOOK = "e" * 64
PLAN = f"{BOOK}/{'a' * 64}.plan.json"


def test_plan_books_are_unpacked_each_into_its_folder(pack: Pack, tmp_path: Path) -> None:
    """With nothing else."""
    folders: Members = [(f"{BOOK}/", b"")]
    members: Members = [(f"{BOOK}/book.json", b"{}"), (PLAN, b"plan"), (f"{'0' * 64}/book.json", b"[]")]
    folder = tmp_path / "out"
    folder.mkdir()
    unpack_books(pack(folders + members), folder)
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert found == dict(members)


FOREIGN = {
    "a path upwards": f"../{BOOK}/book.json",
    "an absolute path": f"/{BOOK}/book.json",
    "a path inside": f"{BOOK}/../book.json",
    "a folder of another name": "kernels/book.json",
    "a file of another name": f"{BOOK}/conftest.py",
    "a file in no folder": "book.json",
    "a folder in a folder": f"{BOOK}/{BOOK}/book.json",
    "a name with an end of line": f"{BOOK}/book.json\n",
    "another folder": "kernels/",
    "a folder upwards": "../",
    "a program of another kind": f"{BOOK}/{'a' * 64}.so",
}


@pytest.mark.parametrize("name", FOREIGN.values(), ids=FOREIGN.keys())
def test_what_belongs_to_no_plan_book_is_refused(pack: Pack, tmp_path: Path, name: str) -> None:
    """Wherever it leads, before anything is written."""
    before = set(tmp_path.rglob("*"))
    archive = pack([(f"{BOOK}/book.json", b"{}"), (name, b"x")])
    with pytest.raises(ArtifactError, match="has no business in it"):
        unpack_books(archive, tmp_path)
    assert set(tmp_path.rglob("*")) - before == {archive}


def test_a_link_in_a_plan_book_is_refused(pack: Pack, tmp_path: Path) -> None:
    """It might lead to a secret of the runner."""
    with pytest.raises(ArtifactError, match="no regular file"):
        unpack_books(pack([link_to("/etc/passwd", PLAN)]), tmp_path)


@pytest.mark.parametrize("sizes", [(101,), (40, 40, 40)], ids=["one", "together"])
def test_a_bomb_is_not_unpacked(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]
) -> None:
    """All that is unpacked counts, whatever the headers say."""
    monkeypatch.setattr(artifact_module, "MAX_BOOK_BYTES", 100)
    names = [f"{BOOK}/{str(number) * 64}.cubin" for number in range(len(sizes))]
    archive = pack([(name, b" " * size) for name, size in zip(names, sizes, strict=True)])
    with pytest.raises(ArtifactError, match="larger than is allowed"):
        unpack_books(archive, tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project's folder with its settings and its kernel, and no records."""
    for name in ("pyproject.toml", "kernels/alexnet_conv1.py"):
        (tmp_path / "project" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "project" / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path / "project"


def test_a_proposal_in_an_archive_is_accepted(pack: Pack, project: Path) -> None:
    """As a file of its own would be."""
    archive = pack([(NAME, msgspec.json.encode(make_record(kernel_sha256=SHA256)))])
    assert main(["accept", str(archive), "--reason", "First", "--root", str(project)]) == 0
    path = record_path(project, "alexnet_conv1", "nvidia-h200")
    record = load_speed(path, operation="alexnet_conv1", gpu="NVIDIA H200", kernel_sha256=SHA256)
    assert [line.reason for line in record.history] == ["First"]


def test_an_archive_without_proposals_stands_beside_another(
    pack: Pack, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run keeps two, and proposes in one of them; in neither, that is an error."""
    empty = pack([("changed/summary.md", b"#")]).rename(tmp_path / "empty.zip")
    archive = pack([(NAME, msgspec.json.encode(make_record(kernel_sha256=SHA256)))])
    words = ["--reason", "First", "--root", str(project)]
    assert main(["accept", str(empty), *words]) == 1
    assert "the archives hold no *.proposed.json" in capsys.readouterr().err
    assert main(["accept", str(empty), str(archive), *words]) == 0
    assert record_path(project, "alexnet_conv1", "nvidia-h200").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"log_ratio_original":-0.05', b'"log_ratio_original":NaN', "NaN"),
        (b'"log_ratio_original":-0.05', b'"log_ratio_original":1e999', "log_ratio_original"),
        (b'"kernelgate.speed/1"', b'"kernelgate.speed/9"', "other-schema"),
        (b'"NVIDIA H200"', b'"../../../../etc"', ""),
        (b'"alexnet_conv1"', b'"../alexnet_conv1"', "other-operation"),
        (SHA256.encode(), b"b" * 64, "stale"),
        (b'"replicates":4', b'"replicates":4,"replicates":5', "stands twice"),
    ],
)
def test_a_poisoned_proposal_changes_nothing(
    pack: Pack, project: Path, capsys: pytest.CaptureFixture[str], old: bytes, new: bytes, says: str
) -> None:
    """It is named, or ends as a record that no GPU of ours asks for, inside its folder."""
    content = msgspec.json.encode(make_record(kernel_sha256=SHA256))
    assert old in content
    status = main(
        ["accept", str(pack([(NAME, content.replace(old, new))])), "--reason", "x", "--root", str(project)]
    )
    written = list(project.rglob("*.json"))
    if says:
        assert (status, written) == (1, [])
        assert says in capsys.readouterr().err
    else:
        assert written == [project / "baselines" / "alexnet_conv1" / "etc.json"]
