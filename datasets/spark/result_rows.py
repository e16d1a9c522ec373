"""The rows that tasks return: pairs, executions without pairs, refused rows, and facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..counts.cells import last_click_states
from ..loading.part import CHANNEL
from ..pairs.executions import own_where_missing
from ..pairs.fold import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from numpy.typing import NDArray

    from ..loading.part import Part
    from ..loading.settings import LoadSettings

PAIR, EXECUTION, REFUSED, FACTS = "pair", "execution", "refused", "facts"
"""Kinds of rows."""

_BATCH: Final = 100_000
"""Rows of a record batch: their texts stay far below the 2 GB that Spark's batches take."""

_EXECUTION: Final = {
    "execution_id": "string",
    "query_id": "string",
    "has_query": "boolean",
    "user_id": "string",
    "time": "timestamp",
}
_PAIR: Final = {
    "document_id": "string",
    "position": "int",
    "last_click": "int",
    "y": "float",
    "clicked": "boolean",
    "negative": "boolean",
    "document_score": "double",
}
_REFUSED: Final = {"row": "string", "field": "string", "value": "string", "reason": "string"}
_POLARS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "string": pl.String,
    "boolean": pl.Boolean,
    "timestamp": pl.Datetime("us", "UTC"),
    "int": pl.Int32,
    "float": pl.Float32,
    "double": pl.Float64,
    "binary": pl.Binary,
}


@dataclass(frozen=True)
class ResultSchema:
    """Columns of the rows that tasks return, each with its type in Spark.

    Context and features have numbers: their names may be those of other columns.
    """

    context: tuple[str, ...]
    features: tuple[str, ...]

    @classmethod
    def of(cls, settings: LoadSettings) -> ResultSchema:
        """Return the columns of a load."""
        return cls(settings.context, settings.builtin_features)

    @property
    def columns(self) -> dict[str, str]:
        """Name -> type."""
        return {
            "kind": "string",
            **_EXECUTION,
            **dict.fromkeys(self.context_columns, "string"),
            **_PAIR,
            **{
                column: "string" if name == CHANNEL else "float"
                for name, column in zip(self.features, self.feature_columns, strict=True)
            },
            **_REFUSED,
            "facts": "binary",
        }

    @property
    def ddl(self) -> str:
        """The columns as Spark declares them."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns.items())

    @property
    def context_columns(self) -> list[str]:
        """Columns of the context, in its order."""
        return [f"context_{number}" for number in range(len(self.context))]

    @property
    def feature_columns(self) -> list[str]:
        """Columns of the features, in their order."""
        return [f"feature_{number}" for number in range(len(self.features))]

    def rows_of(self, part: Part) -> Iterator[pl.DataFrame]:
        """Yield the executions without pairs, and the pairs, of a part with all these features."""
        group = part.pairs.group
        executions = pl.DataFrame(
            {
                "execution_id": part.ids,
                "query_id": _query_ids(part),
                "has_query": part.query >= 0,
                "user_id": _texts_of(part.users, part.user),
                "time": _times(part.first_time),
                **{
                    column: part.context[name]
                    for column, name in zip(self.context_columns, self.context, strict=True)
                },
            }
        )
        yield self._whole(executions.filter(pl.Series(group == 0)), EXECUTION)
        of_pairs = executions[np.repeat(np.arange(len(group)), group)]
        yield self._whole(of_pairs.with_columns(**self._pairs(part)), PAIR)

    def refused(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return refused rows; `frame` has row, field, value and reason."""
        return self._whole(frame.select(*_REFUSED), REFUSED)

    def facts(self, facts: bytes) -> pl.DataFrame:
        """Return the row of the facts."""
        return self._whole(pl.DataFrame({"facts": [facts]}), FACTS)

    def batches(self, frame: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        """Yield rows as Spark takes them."""
        import pyarrow as pa

        for part in frame.iter_slices(_BATCH):
            table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
            narrow = [_narrow(pa, each) for each in table.schema]
            yield from table.cast(pa.schema(narrow)).combine_chunks().to_batches()

    def _pairs(self, part: Part) -> dict[str, pl.Series]:
        pairs = part.pairs
        features = {}
        for number, (name, column) in enumerate(
            zip(self.features, self.feature_columns, strict=True)
        ):
            values = pl.Series(np.ascontiguousarray(pairs.X[:, number])).fill_nan(None)
            if name == CHANNEL:
                values = part.channels.gather(values.cast(pl.Int64))
            features[column] = values
        return {
            "document_id": part.documents.gather(pairs.document),
            "position": pl.Series(pairs.position),
            "last_click": _last_clicks(part),
            "y": pl.Series(pairs.grade),
            "clicked": pl.Series(pairs.clicked),
            "negative": pl.Series(pairs.negative),
            "document_score": pl.Series(pairs.score).fill_nan(None),
            **features,
        }

    def _whole(self, frame: pl.DataFrame, kind: str) -> pl.DataFrame:
        """Return a frame with all columns, null where it lacks one."""
        given = {name: pl.col(name) for name in frame.columns} | {"kind": pl.lit(kind)}
        return frame.select(
            given.get(name, pl.lit(None)).cast(_POLARS[type_]).alias(name)
            for name, type_ in self.columns.items()
        )


def _query_ids(part: Part) -> pl.Series:
    codes, queries = own_where_missing(part.query.copy(), part.queries, part.ids)
    return queries.gather(codes)


def _texts_of(texts: pl.Series, codes: NDArray[np.int32]) -> pl.Series:
    """Return the text of every code, null for -1."""
    known = pl.Series(codes, dtype=pl.Int64)
    return texts.gather(known.set(known < 0, None))


def _times(times: NDArray[np.int64]) -> pl.Series:
    moments = pl.Series(times)
    return moments.set(moments == NO_TIME, None).cast(pl.Datetime("us", "UTC"))


def _last_clicks(part: Part) -> pl.Series:
    """Return the position of the last click above each pair in its list, null without one."""
    pairs = part.pairs
    positions = int(pairs.position.max(initial=0)) + 1
    state = np.empty(len(pairs.position), np.int64)
    last_click_states(part.offsets, pairs.position, pairs.clicked, positions, state)
    k = pairs.position.astype(np.int64)
    above = pl.Series(state - k * (k + 1) // 2 - 1)
    return above.set(above < 0, None)


def _narrow(pa: Any, column: pa.Field) -> pa.Field:
    """Return a column with text and bytes as Spark has them."""
    narrow = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return column.with_type(narrow.get(column.type, column.type))
