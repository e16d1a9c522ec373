"""What a result shows of itself: a title, tables and notes, and the text of them.

Results return a `Summary`; `summary_text` makes their `__repr__` of it, and `summary_html` of the
module of that name their `_repr_html_`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

MAX_ROWS: Final = 10
MAX_NOTES: Final = 12
MAX_CELL: Final = 60
MAX_NOTE: Final = 400


def cell(value: Any, width: int = MAX_CELL) -> str:
    """Return one value as short text: whole numbers with commas, others with four digits.

    Examples
    --------
    >>> cell(12345), cell(0.123456), cell(float("nan")), cell(True), cell(("a", "b"))
    ('12,345', '0.1235', '-', 'yes', 'a, b')
    """
    if value is None:
        return "-"
    if type(value).__name__ == "bool":  # Python's and NumPy's, which is not imported for it
        return "yes" if value else "no"
    if isinstance(value, Real):
        return _number(value)
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return shortened(", ".join(map(cell, value)), width)
    return shortened(str(value), width)


def _number(value: Real) -> str:
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{float(value):.4g}" if math.isfinite(value) else "-"


def interval(limits: tuple[float, float] | None, form: str = ".4f") -> str:
    """Return the two ends of an interval; "-" where there is none.

    Examples
    --------
    >>> interval((0.1, 0.25), "+.2f"), interval(None)
    ('+0.10 to +0.25', '-')
    """
    if limits is None or not all(map(math.isfinite, limits)):
        return "-"
    return f"{limits[0]:{form}} to {limits[1]:{form}}"


def shortened(text: str, limit: int) -> str:
    r"""Return a text on one line, cut to `limit` characters, without control characters.

    Examples
    --------
    >>> shortened("a very\nlong text", 8)
    'a very …'
    """
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dataclass(frozen=True)
class Table:
    """Rows of short texts under headings.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple of str
    numeric : tuple of bool
        Which columns stand on the right.
    caption : str
        Above the table; empty for none.
    more : int
        Rows that were left out at the end.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    caption: str = ""
    more: int = 0

    @property
    def says_none(self) -> bool:
        """Whether it is said that there are no rows; counts that there are none of go unsaid."""
        return bool(self.caption) and any(self.columns)

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        caption: str = "",
        limit: int = MAX_ROWS,
        width: int = MAX_CELL,
    ) -> Self:
        """Return a table of values, with at most `limit` rows, and `width` characters a cell.

        Examples
        --------
        >>> table = Table.of(["name", "n"], [["a", 1200], ["b", None]])
        >>> table.rows, table.numeric
        ((('a', '1,200'), ('b', '-')), (False, True))
        """
        values = [tuple(row) for row in rows]
        shown = values[:limit]
        by_column = [[row[i] for row in shown] for i in range(len(columns))]
        return cls(
            tuple(shortened(name, MAX_CELL) for name in columns),
            tuple(tuple(cell(value, width) for value in row) for row in shown),
            tuple(_is_numeric(column) for column in by_column),
            caption,
            len(values) - len(shown),
        )

    @classmethod
    def of_counts(cls, counts: Mapping[str, Any], caption: str = "") -> Self:
        """Return a table of two columns, without heading: what, and how many.

        Examples
        --------
        >>> Table.of_counts({"kept": 5}).rows
        (('kept', '5'),)
        """
        return cls.of(
            ["", ""], counts.items(), caption=caption, limit=2 * MAX_ROWS, width=2 * MAX_CELL
        )

    @classmethod
    def of_frame(
        cls, frame: pl.DataFrame, *, caption: str = "", limit: int = MAX_ROWS, columns: int = 10
    ) -> Self:
        """Return the first rows and columns of a data frame.

        Examples
        --------
        >>> import polars as pl
        >>> Table.of_frame(pl.DataFrame({"id": ["a", "b"], "n": [1, 2]}), limit=1).more
        1
        """
        part = frame.head(limit)
        if len(frame.columns) > columns:
            part = part[frame.columns[: columns - 1]].with_columns(_ellipsis())
        table = cls.of(part.columns, part.rows(), caption=caption, limit=limit)
        return cls(
            table.columns, table.rows, table.numeric, table.caption, len(frame) - len(table.rows)
        )


@dataclass(frozen=True)
class Summary:
    """What a result shows of itself.

    Attributes
    ----------
    title : str
        One line: what it is, and its size.
    tables : sequence of Table
    notes : sequence of str
        How to read it.
    """

    title: str
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def shown_notes(self) -> list[str]:
        """The first notes, each on one line, and how many more there are."""
        lines = [shortened(note, MAX_NOTE) for note in self.notes[:MAX_NOTES]]
        left = len(self.notes) - len(lines)
        return [*lines, *([f"and {left:,} more"] if left else [])]


def summary_text(summary: Summary) -> str:
    """Return the summary in lines of text.

    Examples
    --------
    >>> table = Table.of(["metric", "value"], [["nDCG@10", 0.5]])
    >>> print(summary_text(Summary("Report: 3 queries", [table], ["no baseline"])))
    Report: 3 queries
      metric   value
      nDCG@10    0.5
    note: no baseline
    """
    lines = [shortened(summary.title, MAX_NOTE)]
    for table in summary.tables:
        lines += text_table(table)
    return "\n".join([*lines, *(f"note: {note}" for note in summary.shown_notes)])


def text_table(table: Table) -> list[str]:
    """Return the lines of a table, indented by two spaces.

    Examples
    --------
    >>> text_table(Table.of_counts({"rows read": 1200, "kept": 5}, caption="rows"))
    ['rows', '  rows read  1,200', '  kept           5']
    """
    if not table.rows:
        return [f"{table.caption}: none"] if table.says_none else []
    head = [table.columns] if any(table.columns) else []
    grid = [*head, *table.rows]
    widths = [max(len(row[i]) for row in grid) for i in range(len(table.columns))]
    lines = [table.caption] if table.caption else []
    lines += ["  " + _aligned(row, widths, table.numeric) for row in grid]
    return [*lines, *([f"  and {table.more:,} more"] if table.more else [])]


def _aligned(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    cells = [
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(row, widths, numeric, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _is_numeric(values: Sequence[Any]) -> bool:
    """Return whether a column holds numbers or nothing; formatted numbers are numbers, too."""
    known = [value for value in values if value is not None]
    return bool(known) and all(
        value[:1] in "+-0123456789" if isinstance(value, str) else isinstance(value, Real)
        for value in known
        if not isinstance(value, str) or value
    )


def _ellipsis() -> pl.Expr:
    import polars as pl

    return pl.lit("…").alias("…")
