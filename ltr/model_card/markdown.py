"""Sections as Markdown (CommonMark with the tables of GitHub) in which every text stays text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .document import Bullets, Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .document import Block, Section, Table

_MARKS: Final = re.compile(
    r"[\\`*\[\]|~$#]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it means nothing
    r"|@(?=[A-Za-z])|:(?=//)|(?<=www)\.",  # what GitHub makes links of
    re.IGNORECASE,
)
_AT_START: Final = re.compile(r"^(?:([-+])|(\d+)([.)]))(?=\s|$)")
"""What would begin a list."""


def to_markdown(title: str, sections: Iterable[Section]) -> str:
    """Return a document with a title."""
    lines = [f"# {escaped(title)}"]
    for section in sections:
        lines += ["", f"## {escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_lines(block)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is, in one line.

    >>> print(escaped("a|b <i>*c*</i>\nd"))
    a\|b &lt;i&gt;\*c\*&lt;/i&gt; d
    """
    printable = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(printable.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKS.sub(r"\\\g<0>", line)
    return _AT_START.sub(lambda start: f"{start[2] or ''}\\{start[1] or start[3]}", line)


def _lines(block: Block) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield escaped(block.text)
    elif isinstance(block, Bullets):
        yield from (f"- {escaped(text)}" for text in block.texts)
    else:
        yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    yield _row(table.headings)
    yield _rule(len(table.headings), table.left)
    yield from map(_row, table.rows)


def _rule(columns: int, left: int) -> str:
    return "|" + "|".join("---" if n < left else "---:" for n in range(columns)) + "|"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"
