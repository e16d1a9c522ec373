"""HTML and SVG from Python values: every text is escaped, whatever it holds."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EMPTY: Final = frozenset({"br", "input", "link", "meta"})
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Characters that no HTML may hold."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | int | float | Iterable[Content] | None"


def element(name: str, /, *content: Content, **attributes: object) -> Html:
    """Return an element; texts in it are escaped, what is None or False is left out.

    `_` in an attribute's name stands for `-`, at its end for nothing.

    >>> element("p", "a < b", element("br"), class_="note", hidden=None)
    '<p class="note">a &lt; b<br></p>'
    >>> element("rect", stroke_width=2, x=0.5)
    '<rect stroke-width="2" x="0.5"></rect>'
    """
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    end = "" if name in _EMPTY else f"</{name}>"
    return Html(f"<{name}{given}>{join(*content)}{end}")


def join(*content: Content) -> Html:
    """Return elements and texts one after the other.

    >>> join("a & b", [element("br"), None, 7])
    'a &amp; b<br>7'
    """
    return Html("".join(map(_joined, content)))


def table(headings: Sequence[str], rows: Iterable[Iterable[Content]]) -> Html:
    """Return a table; on a phone its rows stand below each other, each cell with its heading."""
    head = element("tr", [element("th", each, scope="col") for each in headings])
    body = [
        element(
            "tr",
            [
                element("td", element("div", cell), data_label=heading or None)
                for heading, cell in zip(headings, row, strict=True)
            ],
        )
        for row in rows
    ]
    return element("table", element("thead", head), element("tbody", body))


def _joined(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Html):
        return content
    return _text(content) if isinstance(content, str | int | float) else join(*content)


def _text(value: object) -> str:
    return escape(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(value)))
