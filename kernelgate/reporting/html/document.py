"""One file that is a page: no script, no network, nothing to fetch.

The page's own policy lets in this style and nothing else, so that even markup which got in would do nothing.
"""

import base64
import hashlib

from kernelgate.outcome import Outcome
from kernelgate.reporting.html.elements import Child, node, render
from kernelgate.reporting.html.style import STYLE

PASS, FAIL, UNSURE = "pass", "fail", "unsure"
UNDECIDED = (Outcome.UNSTABLE, Outcome.INVALID, Outcome.NO_BASELINE, Outcome.NOT_MEASURED)
"""Outcomes that leave the question of the speed open."""


def accent_of(outcome: Outcome) -> str:
    """Return the class of verdict whose colour a page has: it passes, fails, or cannot say."""
    if outcome in UNDECIDED:
        return UNSURE
    return PASS if outcome.passes else FAIL


def render_document(title: str, accent: str, *children: Child) -> str:
    """Return the page."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", http_equiv="Content-Security-Policy", content=policy),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("meta", name="color-scheme", content="light dark"),
        node("title", title),
        node("style", STYLE),
    )
    body = node("body", node("main", *children), class_=accent)
    return "<!DOCTYPE html>\n" + render(node("html", head, body, lang="en"))
