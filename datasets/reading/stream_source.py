"""Arrow batches as a source of raw rows, of which a part is held at a time."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...errors import InvalidInputError, UnreadableSourceError
from .arrow_input import stream_errors
from .arrow_types import polars_series, polars_type
from .plain_columns import plain_schema
from .source import BATCH_ROWS, Block
from .tables import any_value, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .arrow_input import ArrowInput

_PART_BYTES: Final = 1 << 28
"""Size in Arrow from which rows are no longer gathered into a part."""


class StreamSource:
    """Batches of Arrow columns.

    Parameters
    ----------
    stream : ArrowInput

    Raises
    ------
    InvalidInputError
        If two columns have one name.
    """

    unit = "row"
    text = False

    def __init__(self, stream: ArrowInput) -> None:
        self.name, self.rows, self.once = stream.name, stream.rows, stream.once
        names = stream.schema.names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            msg = f"{self.name}: several columns are named {repeated[0]!r}; rename or drop one"
            raise InvalidInputError(msg)
        with stream_errors(self.name):
            self._types = {field.name: polars_type(field.type) for field in stream.schema}
        self.schema: Mapping[str, pl.DataType] = plain_schema(self._types)
        self._stream = stream
        self._rows_given: int | None = None

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row has a value in any of the columns."""
        filled = [name for name in columns if self._types[name] != pl.Null()]
        if not filled:
            return False
        with closing(self._stream.look(filled)) as batches:
            return any(any_value(self._frame(batch).lazy()) for batch in batches)

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield parts of at most `BATCH_ROWS` rows.

        Raises
        ------
        InvalidInputError
            If the batches can be read only once and were.
        UnreadableSourceError
            If reading fails, or gives another number of rows than before.
        """
        rows = 0
        for block in blocks_of(self._parts(list(columns))):
            rows += block.frame.height + (0 if block.refused is None else block.refused.height)
            yield block
        if self._rows_given not in {None, rows}:
            msg = (
                f"{self.name}: gave {self._rows_given:,} rows when it was read first, and {rows:,} "
                "now. It changes while it is read, or can be read only once; give a table or a file"
            )
            raise UnreadableSourceError(msg)
        self._rows_given = rows

    def _parts(self, columns: list[str]) -> Iterator[pl.DataFrame]:
        """Yield batches joined, and cut, to parts: engines give them in sizes of every kind."""
        gathered: list[pl.DataFrame] = []
        rows = size = 0
        with closing(self._stream.batches(columns)) as batches:
            for batch in batches:
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    piece = batch.slice(start, BATCH_ROWS)
                    if gathered and (
                        rows + piece.num_rows > BATCH_ROWS or size + piece.nbytes > _PART_BYTES
                    ):
                        yield pl.concat(gathered, rechunk=True)
                        gathered, rows, size = [], 0, 0
                    gathered.append(self._frame(piece))
                    rows, size = rows + piece.num_rows, size + piece.nbytes
        if gathered:
            yield pl.concat(gathered, rechunk=True)

    def _frame(self, batch: Any) -> pl.DataFrame:
        """Return a batch in the types of the schema."""
        with stream_errors(self.name):
            columns = zip(batch.schema.names, batch.columns, strict=True)
            made = [polars_series(name, column) for name, column in columns]
            return pl.DataFrame(
                [
                    each if each.dtype == self._types[each.name] else self._cast(each)
                    for each in made
                ]
            )

    def _cast(self, column: pl.Series) -> pl.Series:
        expected = self._types[column.name]
        if expected == pl.Null() and column.null_count() < len(column):
            msg = f"{self.name}: column {column.name!r} becomes {column.dtype}, which was null"
            raise UnreadableSourceError(msg)
        return column.cast(expected)
