"""A summary as HTML for notebooks: texts are escaped, and colours are those of the page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from .summary import MAX_NOTE, shortened

if TYPE_CHECKING:
    from .summary import Summary, Table

# No colours: the page's own are legible in its dark and its light form.
_CELL: Final = "padding:0.1em 0.8em;text-align:"
_LINE: Final = "border-bottom:1px solid currentColor"


def summary_html(summary: Summary) -> str:
    """Return a title line, the tables and the notes, as HTML without scripts or other files.

    Examples
    --------
    >>> from rankloom._shared.summary import Summary
    >>> summary_html(Summary("1 < 2", notes=["a & b"]))
    '<div><strong>1 &lt; 2</strong><ul><li>a &amp; b</li></ul></div>'
    """
    title = f"<strong>{escape(shortened(summary.title, MAX_NOTE))}</strong>"
    tables = "".join(map(_table, summary.tables))
    notes = "".join(f"<li>{escape(note)}</li>" for note in summary.shown_notes)
    return f"<div>{title}{tables}{f'<ul>{notes}</ul>' if notes else ''}</div>"


def _table(table: Table) -> str:
    caption = f"<div>{escape(table.caption)}</div>" if table.caption else ""
    if not table.rows:
        return f"<div>{escape(table.caption)}: none</div>" if table.says_none else ""
    head = f"<thead>{_row(table.columns, table, 'th')}</thead>" if any(table.columns) else ""
    body = "".join(_row(row, table, "td") for row in table.rows)
    more = f"<div>and {table.more:,} more</div>" if table.more else ""
    return f"{caption}<table>{head}<tbody>{body}</tbody></table>{more}"


def _row(cells: tuple[str, ...], table: Table, tag: str) -> str:
    line = f";{_LINE}" if tag == "th" else ""
    content = "".join(
        f'<{tag} style="{_CELL}{"right" if right else "left"}{line}">{escape(text)}</{tag}>'
        for text, right in zip(cells, table.numeric, strict=True)
    )
    return f"<tr>{content}</tr>"
