"""A hook of mkdocs.yml: where links to files outside docs/ lead on the site.

They lead to the repository; where its address is not known, they are plain text.
"""

import posixpath
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the page's text with these links exchanged; mkdocs calls this for each page."""
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))
    return exchange_links(markdown, folder, config["extra"]["repository"])


def exchange_links(markdown: str, folder: str, repository: str) -> str:
    """Return the text of a page of this folder of the repository, whose address may be empty."""

    def exchange(link: re.Match[str]) -> str:
        text, target, anchor = link.groups(default="")
        path = posixpath.normpath(posixpath.join(folder, target))
        if path.startswith("docs/"):
            return link[0]
        return f"[{text}]({repository}/blob/HEAD/{path}{anchor})" if repository else text

    return LINK.sub(exchange, markdown)
