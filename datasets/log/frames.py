"""Stored rows as tables of canonical columns, and as a Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..._shared.atomic_files import write_whole
from ..record.interaction import canonical_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import polars as pl


FRAME_COLUMNS: Final = (
    "i.feature_id, i.interaction_type, i.position, i.metadata, i.user_id, i.session_id, "
    "i.execution_id, nullif(r.name, ''), i.query_snapshot, i.document_score, i.result_set_size, "
    "i.feature_uri, i.occurred_at, i.timestamp, i.interaction_id, i.live, i.seq"
)
"""What `frame_of` reads of interactions i and retrievers r."""


def frame_of(rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Return rows of `FRAME_COLUMNS` in canonical columns, ``live`` and ``seq``."""
    import polars as pl

    schema = {**canonical_schema(), "live": pl.Boolean(), "seq": pl.Int64()}
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    made = []
    for (name, dtype), values in zip(schema.items(), columns, strict=True):
        if name == "interaction_type":
            made.append(_types(name, values))
        elif dtype in {pl.Datetime("us"), pl.Boolean}:
            made.append(pl.Series(name, values, pl.Int64).cast(dtype))
        else:
            made.append(pl.Series(name, values, dtype))
    return pl.DataFrame(made)


def _types(name: str, texts: Sequence[str]) -> pl.Series:
    """Return lists of types; there are few distinct ones."""
    import polars as pl

    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(text, len(numbers)) for text in texts]
    lists = [msgspec.json.decode(text) for text in numbers]
    return pl.Series(name, lists, pl.List(pl.String)).gather(codes)


def write_parquet(parts: Iterable[pl.DataFrame], path: str | Path) -> int:
    """Write tables of canonical columns as one Parquet file, part by part; return how many rows."""
    import polars as pl
    from polars.io.plugins import register_io_source

    written = 0
    failed: list[BaseException] = []

    def stream(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,  # noqa: ARG001 - nothing is filtered
        n_rows: int | None,  # noqa: ARG001
        batch_size: int | None,  # noqa: ARG001
    ) -> Iterator[pl.DataFrame]:
        nonlocal written
        try:
            for frame in parts:
                written += frame.height
                yield frame if with_columns is None else frame.select(with_columns)
        except BaseException as error:
            failed.append(error)
            raise

    frames = register_io_source(stream, schema=canonical_schema())
    try:
        write_whole(path, lambda name: frames.sink_parquet(name, compression="zstd"))
    except pl.exceptions.PolarsError:
        if failed:
            raise failed[0] from None
        raise
    return written
