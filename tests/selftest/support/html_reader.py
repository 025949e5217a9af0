"""A page as a browser would take it: its elements, their attributes, and the text that is shown."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """The elements of a page in their order, what is shown as text, and whether every element was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.shown = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes nothing"
        self.shown += "" if tag in ("code", "b") else " "

    def handle_data(self, data: str) -> None:
        if "style" not in self._open[-1:]:
            self.shown += data

    def all(self, tag: str, class_: str = "") -> list[dict[str, str]]:
        """Return the attributes of the elements with this tag, and class if one is named."""
        wanted = class_.split()
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and set(wanted) <= set(attributes.get("class", "").split())
        ]

    def words(self) -> str:
        """Return the text with single spaces."""
        return " ".join(self.shown.split())
