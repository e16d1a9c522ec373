"""Findings as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

_TIMES: Final = ("lift", "ratio", "ratio_lower", "ratio_upper")
_SUMS: Final = ("position", "examined", "engaged")


def section(title: str, table: pl.DataFrame, columns: Sequence[str], limit: int) -> Iterator[str]:
    """Yield a title with the number of rows, and the first rows of a table.

    >>> import polars as pl
    >>> table = pl.DataFrame({"query": ["red", "blue"], "abandonment": [0.5, 0.4]})
    >>> list(section("abandoned", table, table.columns, limit=1))
    ['', 'abandoned: 2, the first 1', '  red  abandonment 50.0%']
    """
    yield ""
    yield f"{title}: {len(table):,}" + (f", the first {limit}" if len(table) > limit else "")
    for row in table.head(limit).select(columns).iter_rows(named=True):
        yield "  " + "  ".join(_cell(name, value) for name, value in row.items())


def share_text(value: float) -> str:
    """Return a share in percent, "unknown" for NaN.

    >>> share_text(0.125), share_text(float("nan"))
    ('12.5%', 'unknown')
    """
    return f"{value:.1%}" if value == value else "unknown"  # noqa: PLR0124 - NaN differs from itself


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name in _TIMES:
        return f"{name} {value:.2f}"
    if name in _SUMS:
        return f"{name} {value:,.1f}"
    return f"{name} {value:.1%}" if isinstance(value, float) else f"{name} {value:,}"
