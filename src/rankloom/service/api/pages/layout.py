"""What all pages have in common: shell, style sheet, and headers that allow nothing else."""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib.resources import files
from typing import Final

from ...http.answers import Answer
from ..endpoint import Call, Endpoint
from .html import Content, element, join

STYLE: Final = "/ui/style.css"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",
}


def page(
    root: str, title: str, *content: Content, status: int = 200, nav: Content = None
) -> Answer:
    """Return a whole page; `root` stands before its links."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href=root + STYLE),
        element("title", f"{title} - rankloom"),
    )
    links = element("nav", nav, aria_label="Pages") if nav else None
    body = element("body", links, element("main", element("h1", element("bdi", title)), content))
    text = join(element("html", head, body, lang="en"))
    return Answer(status, f"<!doctype html>\n{text}".encode("utf-8", "replace"), _HEADERS)


def section(title: str, *content: Content) -> Content:
    """Return a part of a page with its heading."""
    return element("section", element("h2", title), content)


def moment(time: dt.datetime | None) -> Content:
    """Return a time for people, in UTC."""
    if time is None:
        return "unknown"
    utc = time.astimezone(dt.UTC)
    return element("time", f"{utc:%Y-%m-%d %H:%M} UTC", datetime=utc.isoformat(timespec="seconds"))


@cache
def _style() -> bytes:
    return (files(__name__.rpartition(".")[0]) / "templates" / "style.css").read_bytes()


async def read_style(call: Call) -> Answer:
    """Return the style sheet of all pages."""
    del call
    return Answer(body=_style(), headers={"content-type": "text/css; charset=utf-8"})


ENDPOINTS: Final = (Endpoint("GET", STYLE, read_style, "Style sheet of the pages", role=None),)
