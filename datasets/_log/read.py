"""Stored rows as tables of canonical columns, as a source of interactions, and as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..._files import write_whole
from ..interaction import canonical_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import polars as pl

    from .._sources import Block
    from ..log import InteractionLog

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


class LogSource:
    """A log as a source of rows: read part by part, each row numbered as in the log."""

    unit = "row"
    text = False
    rows: int | None = None

    def __init__(self, log: InteractionLog) -> None:
        self.name = log.url
        self.schema = canonical_schema()
        self._log = log

    def has_times(self) -> bool:
        """Return True: the log times every row."""
        return True

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield the parts of the log."""
        from .._sources import Block

        for frame in self._log.numbered_frames():
            yield Block(frame.select(columns), frame["seq"].to_numpy())


def write_parquet(log: InteractionLog, path: str | Path) -> int:
    """Write a log as a Parquet file, part by part; return how many rows."""
    import polars as pl
    from polars.io.plugins import register_io_source

    written = 0
    failed: list[BaseException] = []

    def parts(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,  # noqa: ARG001 - nothing is filtered
        n_rows: int | None,  # noqa: ARG001
        batch_size: int | None,  # noqa: ARG001
    ) -> Iterator[pl.DataFrame]:
        nonlocal written
        try:
            for frame in log.scan():
                written += frame.height
                yield frame if with_columns is None else frame.select(with_columns)
        except BaseException as error:
            failed.append(error)
            raise

    frames = register_io_source(parts, schema=canonical_schema())
    try:
        write_whole(path, lambda name: frames.sink_parquet(name, compression="zstd"))
    except pl.exceptions.PolarsError:
        if failed:
            raise failed[0] from None
        raise
    return written
