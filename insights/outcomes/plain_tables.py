"""Tables as JSON holds them."""

from __future__ import annotations

from typing import Any

import polars as pl

from ..._shared.plain import plain


def rows_of(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values; times as ISO 8601 of UTC, NaN as None.

    >>> import datetime as dt
    >>> rows_of(pl.DataFrame({"day": [dt.datetime(2026, 1, 31)], "value": [float("nan")]}))
    [{'day': '2026-01-31T00:00:00Z', 'value': None}]
    """
    times = [name for name, kind in frame.schema.items() if kind == pl.Datetime]
    days = [name for name, kind in frame.schema.items() if kind == pl.Date]
    texts = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in times]
    texts += [pl.col(name).dt.strftime("%Y-%m-%d") for name in days]
    return [plain(row) for row in frame.with_columns(texts).to_dicts()]
