"""A page holds what a kernel file said, and nothing of it is more than text."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from kernelgate.reporting.history import Course, Moment
from kernelgate.reporting.html import elements
from kernelgate.reporting.html.history import render_history_page
from kernelgate.reporting.html.page import render_html
from kernelgate.reporting.report import Report
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_reports import SHA, SMUGGLED, make_full_report

SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    *SMUGGLED,
    "</style><script>alert(1)</script>",
    "</title></svg></table></main><img src=x onerror=alert(1)>",
    '" onload="alert(1)" x="',
    "' onload='alert(1)",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "`</code><script>alert(1)</script>`",
]


def structure(text: str) -> list[tuple[str, list[str]]]:
    """Return the elements of a page with the names of their attributes."""
    return [(tag, sorted(attributes)) for tag, attributes in Page(text).elements]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every text of a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from leaves(part, (*path, key))
    if isinstance(value, str):
        yield path


def planted(document: Any, path: tuple[Any, ...], text: str) -> Any:
    """Return a copy of the document with the text at the path."""
    copy = msgspec.json.decode(msgspec.json.encode(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = text
    return copy


def free_texts(document: Any) -> list[tuple[Any, ...]]:
    """Return the paths whose text may be any: a report with a script there is a report."""
    found = []
    for path in leaves(document):
        try:
            msgspec.convert(planted(document, path, SCRIPT), Report)
            found.append(path)
        except ValueError:
            continue
    return found


def test_a_script_in_each_text_of_a_report_is_text() -> None:
    """One after the other, in every text field that lets one in: the page stays what it was."""
    document = msgspec.json.decode(msgspec.json.encode(make_full_report()))
    paths = free_texts(document)
    known = {(tag, *names) for tag, names in structure(render_html(make_full_report()))}
    shown = []
    for path in paths:
        page = render_html(msgspec.convert(planted(document, path, SCRIPT), Report))
        assert {(tag, *names) for tag, names in structure(page)} <= known, path
        shown += [path] if SCRIPT in Page(page).shown else []
    assert len(paths) > 90
    assert {path[0] for path in shown} >= {"detail", "next_step", "candidate", "counters", "advice", "book"}
    assert len(shown) > 60


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_smuggled_everywhere_at_once_is_text(text: str) -> None:
    """Also in attributes, in code and beside a drawing."""
    page = Page(render_html(make_full_report(text)))
    allowed = {tag for tag, _ in structure(render_html(make_full_report()))}
    assert {tag for tag, _ in page.elements} <= allowed
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    readable = " ".join(elements.plain(text).replace("`", " ").split())
    assert readable in " ".join(page.shown.replace("`", " ").split())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_history_is_as_safe(text: str) -> None:
    """A reason and a GPU's name may be any line."""
    moment = Moment(
        date=text, log_ratio=-0.1, error=0.001, best=-0.1, kernel_sha256=SHA, reason=text, is_run=True
    )
    page = render_history_page(text, [Course(operation=text, gpu=text, moments=(moment,))], 0.02)
    assert {tag for tag, _ in Page(page).elements}.isdisjoint({"script", "img", "a"})
    honest = msgspec.structs.replace(moment, date="d", reason="r")
    plain = render_history_page("o", [Course(operation="o", gpu="g", moments=(honest,))], 0.02)
    assert structure(page) == structure(plain)


def test_a_script_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the escaping the pages have one."""
    monkeypatch.setattr(ElementTree, "_escape_cdata", lambda text: text)
    assert Page(render_html(make_full_report(SCRIPT))).all("script")


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\u202e", "\u2066", "\ud800", "\r"])
def test_what_is_not_printed_drives_nothing(char: str) -> None:
    """Controls, and marks that make text read backwards."""
    page = render_html(make_full_report(f"a{char}b"))
    assert char not in page
    assert "a\ufffdb" in page
    page.encode()


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    """No address but names of XML, no script, no style of an element; and the policy of the page says so."""
    text = render_html(make_full_report())
    page = Page(text)
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert text.count("url(") == text.count("url(#") == 1
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "a", "form", "use", "image"})
    assert all("style" not in attributes for _, attributes in page.elements)
    (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
