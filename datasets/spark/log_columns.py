"""What the driver knows of a log before it is read: its columns, and who gets which rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...errors import InvalidInputError
from ..reading.column_rules import ABSENT_IDS
from ..reading.scan import check_mapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import DataFrame

    from ..loading.settings import LoadSettings
    from ..reading.source import Block

NAME: Final = "DataFrame"
"""What messages call the source."""

KEY: Final = "rankloom_partition_key"
_KEYS: Final = ("execution_id", "session_id", "feature_id", "document_id")
"""The first of these that a row has decides on its partition; `document_id`: see `ColumnPlan`."""

_SIMPLE: Final[dict[str, pl.DataType]] = {
    "string": pl.String(),
    "byte": pl.Int8(),
    "short": pl.Int16(),
    "integer": pl.Int32(),
    "long": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "timestamp_ntz": pl.Datetime("us"),
    "binary": pl.String(),
    "void": pl.Null(),
}
"""Spark's types as `plain_columns` makes them; bytes become text."""


@dataclass(frozen=True)
class LogColumns:
    """Columns of a log in Spark.

    Attributes
    ----------
    schema : dict of str to DataType
        Columns that are read, as the reader takes them.
    values : dict of frozenset of str to bool
        Whether any row of the log has a value in any of some columns.
    ids : tuple of str
        Columns that name a row in the quarantine.
    key : str
        SQL expression, equal for all rows of an execution.
    """

    schema: dict[str, pl.DataType]
    values: dict[frozenset[str], bool]
    ids: tuple[str, ...]
    key: str

    @classmethod
    def of(cls, df: DataFrame, settings: LoadSettings) -> LogColumns:
        """Find the columns; raises `InvalidInputError` where `load_pairs` would, before any row.

        Asks Spark for one row with a time, and for one of each column whose type holds nothing
        that its field could be.
        """
        source = _Columns(df)
        reader = settings.reader()
        reader.read(source, on_error=settings.on_error, positions="some")
        check_mapped(*reader.scans)
        scan = reader.scans[0]
        held = [column for name in _KEYS for column in scan.columns_of(name)]
        own = settings.mapping.column("interaction_id")
        ids = list(dict.fromkeys([name for name in (own, *held) if name in source.schema]))
        texts = [_id_text(column, source.schema[column]) for column in held]
        return cls(
            {name: source.schema[name] for name in dict.fromkeys([*source.read, *ids])},
            source.values,
            tuple(ids),
            f"coalesce({', '.join([*texts, _literal('')])})",
        )

    def rows_by_execution(self, df: DataFrame, partitions: int | None) -> DataFrame:
        """Return the columns that are read, all rows of an execution in one partition."""
        chosen = df.selectExpr(*map(quoted, self.schema), f"{self.key} AS {KEY}")
        # Spark neither splits such a partition nor moves rows out of it: with a number of
        # partitions it keeps that; without one it may join small ones.
        parted = (
            chosen.repartition(KEY) if partitions is None else chosen.repartition(partitions, KEY)
        )
        return parted.drop(KEY)


class _Columns:
    """A source without rows that notes which columns are read, and asks Spark for values."""

    name, unit, text = NAME, "row", False
    rows: int | None = 0

    def __init__(self, df: DataFrame) -> None:
        self._df = df
        self.schema: dict[str, pl.DataType] = _schema(df)
        self.values: dict[frozenset[str], bool] = {}
        self.read: list[str] = []

    def as_source(self) -> _Columns:
        return self

    def has_values(self, columns: Mapping[str, str]) -> bool:
        asked = frozenset(columns)
        if asked not in self.values:
            names = sorted(asked)
            filled = " OR ".join(_has_value(name, self.schema[name]) for name in names) or "false"
            found = self._df.filter(filled).selectExpr(*map(quoted, names)).limit(1)
            self.values[asked] = bool(names and found.collect())
        return self.values[asked]

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        self.read = list(columns)
        return iter(())


def quoted(name: str) -> str:
    """Return a column's name for an SQL expression."""
    return f"`{name.replace('`', '``')}`"


def _schema(df: DataFrame) -> dict[str, pl.DataType]:
    names = df.columns
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        msg = f"df: has several columns {repeated[0]!r}; rename or drop one"
        raise InvalidInputError(msg)
    fields = df.schema.jsonValue()["fields"]
    return {field["name"]: _type(field["type"]) for field in fields}


def _type(kind: Any) -> pl.DataType:
    """Return a type of Spark, as its schemas write it in JSON; `Object` where nothing reads it."""
    if isinstance(kind, str):
        if kind.startswith("decimal("):
            precision, scale = kind[8:-1].split(",")
            return pl.Decimal(int(precision), int(scale))
        text = kind.startswith(("char", "varchar", "string"))
        return _SIMPLE["string"] if text else _SIMPLE.get(kind, pl.Object())
    if kind["type"] == "array":
        return pl.List(_type(kind["elementType"]))
    if kind["type"] == "map":
        key, value = _type(kind["keyType"]), _type(kind["valueType"])
        return pl.List(pl.Struct({"key": key, "value": value}))
    if kind["type"] == "struct":
        return pl.Struct({each["name"]: _type(each["type"]) for each in kind["fields"]})
    return _type(kind["sqlType"])


def _has_value(name: str, dtype: pl.DataType) -> str:
    column = quoted(name)
    if dtype.is_float():
        return f"NOT isnan({column})"
    return f"{column} <> ''" if dtype == pl.String else f"{column} IS NOT NULL"


def _id_text(name: str, dtype: pl.DataType) -> str:
    """Return the expression of an id as text, NULL where the reader takes it for absent.

    Equal for equal ids; it need not be the text that the reader makes of them.
    """
    column = quoted(name)
    if dtype.is_float():
        column = f"nanvl({column}, CAST(NULL AS DOUBLE)) + 0.0D"  # -0.0 is 0.0
    absent = ", ".join(map(_literal, ABSENT_IDS))
    text = f"CAST({column} AS STRING)"
    return f"CASE WHEN {text} NOT IN ({absent}) THEN {text} END"


def _literal(text: str) -> str:
    """Return a text for an SQL expression; whether a backslash escapes depends on settings."""
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\\")]
    return parts[0] if len(parts) == 1 else f"concat({', char(92), '.join(parts)})"
