"""Sections as one page of HTML without scripts, in which every text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from .document import Bullets, Paragraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .document import Block, Section, Table

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid #ccc; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; }
th.text, td.text { text-align: left; overflow-wrap: anywhere; }
"""


def to_html(title: str, sections: Iterable[Section]) -> str:
    """Return a page that needs no other file."""
    body = "\n".join(
        f"<h2>{escape(section.title)}</h2>\n" + "\n".join(map(_block, section.blocks))
        for section in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Bullets):
        items = "\n".join(f"<li>{escape(text)}</li>" for text in block.texts)
        return f"<ul>\n{items}\n</ul>"
    return _table(block)


def _table(table: Table) -> str:
    rows = "\n".join(_row("td", row, table.left) for row in table.rows)
    head = _row("th", table.headings, table.left)
    body = f"<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    shown = "".join(
        f'<{tag} class="text">{escape(cell)}</{tag}>'
        if n < left
        else f"<{tag}>{escape(cell)}</{tag}>"
        for n, cell in enumerate(cells)
    )
    return f"<tr>{shown}</tr>"
