"""HTML and SVG as trees: what is put into one is text there, whatever it holds."""

from collections.abc import Collection, Iterable, Sequence
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None

BLOCKS = frozenset(
    {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "h1", "h2", "h3", "p"}
    | {"ul", "li", "div", "table", "thead", "tbody", "tr", "details", "summary", "figure", "figcaption"}
    | {"svg", "defs", "pattern", "path", "rect", "line", "circle", "text"}
)
"""A line ends after these, so that changes of a page can be read."""


def node(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """Return an element; `class_` gives class, `aria_label` aria-label; what is None is left out."""
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), plain(str(value)))
    for child in children:
        _append(made, child)
    made.tail = "\n" if tag in BLOCKS else None
    return made


def _append(parent: Element, child: Child) -> None:
    if child is None:
        return
    if isinstance(child, Element):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + plain(child)
    else:
        parent.text = (parent.text or "") + plain(child)


def plain(text: str) -> str:
    """Return text without what is not printed: controls, and marks that turn the direction of writing."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def prose(text: str) -> list[Child]:
    """Return text in which what stands between backticks is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return [text]
    return [node("code", part) if place % 2 else part for place, part in enumerate(parts)]


def table(
    label: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Child]],
    numbers: Collection[int] = (),
    kind: str = "",
) -> Element:
    """Return a table that scrolls by itself where it is too wide; `numbers` are its columns of figures."""

    def cell(tag: str, place: int, content: Child, scope: str | None = None) -> Element:
        return node(tag, content, class_="number" if place in numbers else None, scope=scope)

    head = node("tr", *(cell("th", place, name, "col") for place, name in enumerate(header)))
    body = [
        node("tr", *(cell("td" if i else "th", i, part, None if i else "row") for i, part in enumerate(row)))
        for row in rows
    ]
    whole = node("table", node("thead", head), node("tbody", *body), class_=kind or None)
    return node("div", whole, class_="scroll", tabindex=0, role="group", aria_label=label)


def section(title: str, *children: Child) -> Element:
    """Return a part of the page under its heading."""
    return node("section", node("h2", title), *children)


def details(summary: str, *children: Child) -> Element:
    """Return what opens when it is asked for."""
    return node("details", node("summary", summary), *children)


def listed(texts: Iterable[str]) -> Element:
    """Return a list of sentences."""
    return node("ul", *(node("li", *prose(text)) for text in texts))


def render(root: Element) -> str:
    """Return the tree as HTML, or as SVG within it."""
    return tostring(root, encoding="unicode", method="html")
