"""Text to times: ISO 8601 with or without an offset, as UTC without a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def parse_times(texts: pl.Series) -> pl.Series:
    """Return UTC times in microseconds; null where a text is no ISO 8601 time.

    Without an offset a time is UTC; a date is its midnight.

    Examples
    --------
    >>> import polars as pl
    >>> parse_times(pl.Series(["2026-01-31T12:00:00+02:00", "2026-01-31"])).to_list()[0]
    datetime.datetime(2026, 1, 31, 10, 0)
    """
    parsed = _parse_full(texts)
    if parsed.null_count() == texts.null_count():
        return parsed
    rest = texts.set(parsed.is_not_null(), None)
    return parsed.zip_with(parsed.is_not_null(), _parse_full(_spelt_out(rest)))


def _parse_full(texts: pl.Series) -> pl.Series:
    zoned = texts.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    return zoned.dt.replace_time_zone(None)


def _spelt_out(texts: pl.Series) -> pl.Series:
    return (
        texts.str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00:00Z")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})[ t](\d)", "${1}T${2}")
        .str.replace(r"^(.{10}T\d{2}:\d{2})($|[zZ+-])", "${1}:00${2}")
        .str.replace(r"^(.{10}T[\d:.]+)$", "${1}Z")
        .str.replace(r"([+-]\d{2})$", "${1}:00")
    )
