"""The documentation: it builds as a site of its own, and every link of every page leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.selftest.docs.prose import PAGES, ROOT
from tests.selftest.support.script_module import load_script

PUBLISHER = (ROOT / ".github/workflows/docs.yml").read_text(encoding="utf-8")
REMOTE = re.compile(r"url\(['\"]?(?:https?:)?//|@import\s+(?:url\()?['\"]?(?:https?:)?//")
site_links = load_script(ROOT / ".github/scripts/site_links.py")


def build(folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Return how mkdocs ended on a checkout; it can reach no proxy."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    variables = os.environ | {"NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_a_link_within_the_docs_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    """To a page or to a heading."""
    for name in ("docs", ".github/scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs/index.md").open("a", encoding="utf-8") as page:
        page.write("\n[one](nowhere.md), [two](design.md#nowhere), [three](../kernels/softmax.py)\n")
    built = build(tmp_path / "site", tmp_path)
    assert built.returncode != 0
    warnings = [line for line in built.stderr.splitlines() if line.startswith("WARNING")]
    assert [re.findall(r"link '(.+?)'", line) for line in warnings] == [["nowhere.md"], ["design.md#nowhere"]]


def test_nothing_of_the_site_comes_from_elsewhere(site: Path) -> None:
    """No font, script, style or picture; links that a reader follows may."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r"""<(?!a\b)[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>""", text), page
        assert not REMOTE.search(text), page
    styles = list(site.rglob("*.css"))
    assert styles
    assert not [style for style in styles if REMOTE.search(style.read_text(encoding="utf-8"))]


def test_every_page_of_the_docs_is_in_the_navigation(site: Path) -> None:
    """Those of the examples are reached from their list."""
    linked = set(re.findall(r'href="([^"]+)"', (site / "index.html").read_text(encoding="utf-8")))
    names = {file.stem for file in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {name for name in names if f"{name}/" not in linked} == set()


@pytest.mark.parametrize(
    ("repository", "expected"),
    [("", "kernel"), ("https://x.org/a/b", "[kernel](https://x.org/a/b/blob/HEAD/kernels/softmax.py#L1)")],
)
def test_links_out_of_the_docs_lead_to_the_repository(repository: str, expected: str) -> None:
    """Where its address is not known they are plain text; all others stay."""
    others = "[design](design.md#right), [act](https://github.com/x), ![drawn](../a.svg)"
    page = f"[kernel](../kernels/softmax.py#L1), {others}"
    assert site_links.exchange_links(page, "docs", repository) == f"{expected}, {others}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    """Of README and all pages, as GitHub shows them; anchors within docs/ are mkdocs' to check."""
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    parts = [part for block in blocks for part in block.children or []]
    targets = {str(part.attrs.get("href") or part.attrs.get("src") or "") for part in parts} - {""}
    files = {target.partition("#")[0] for target in targets if not re.match(r"\w+:", target)} - {""}
    assert {file for file in files if not (page.parent / file).exists()} == set()


def test_the_site_is_published_only_by_hand() -> None:
    """And only the job that runs nothing of the repository may write."""
    triggers = PUBLISHER.partition("\non:\n")[2].partition("\npermissions:")[0]
    assert triggers.split() == ["workflow_dispatch:"]
    build_job, _, publish_job = PUBLISHER.partition("\n  publish:\n")
    assert ": write" not in build_job
    assert "run:" not in publish_job
