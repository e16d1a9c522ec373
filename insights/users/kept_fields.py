"""Which fields rows have."""

from __future__ import annotations

from collections import Counter

import msgspec
import polars as pl

from ...datasets.record.interaction import canonical_schema

SCHEMA = {"field": pl.String, "rows": pl.Int64, "values": pl.Int64}


def kept_fields(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the fields of the record that rows have, and the keys of their metadata.

    >>> rows = pl.DataFrame({"user_id": ["u", "u"], "metadata": ['{"device": "tv"}', None]})
    >>> kept_fields(rows).rows()
    [('metadata', 1, 1), ('user_id', 2, 1), ('metadata.device', 1, 1)]
    """
    present = [name for name in canonical_schema() if name in rows.columns]
    found = [
        (name, count, rows[name].drop_nulls().n_unique())
        for name in present
        if (count := len(rows) - rows[name].null_count())
    ]
    texts = (
        rows["metadata"].drop_nulls()
        if "metadata" in rows.columns
        else pl.Series([], dtype=pl.String)
    )
    return pl.DataFrame([*found, *_metadata(texts)], schema=SCHEMA, orient="row")


def _metadata(texts: pl.Series) -> list[tuple[str, int, int]]:
    counts: Counter[str] = Counter()
    values: dict[str, set[bytes]] = {}
    for text, rows in texts.value_counts().rows():
        for key, value in msgspec.json.decode(text).items():
            counts[key] += rows
            values.setdefault(key, set()).add(msgspec.json.encode(value))
    return [(f"metadata.{key}", counts[key], len(values[key])) for key in sorted(counts)]
