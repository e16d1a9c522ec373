"""From the columns that a source has to the canonical ones, and the check of one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..errors import InvalidInputError, did_you_mean
from . import _reasons as reasons
from ._columns import (
    MASK,
    Column,
    Raw,
    Rule,
    id_column,
    json_column,
    part,
    raw,
    score_column,
    time_column,
    whole_column,
)
from ._quarantine import FAULT_SCHEMA, VALUE_CHARACTERS
from ._types import MISSING, NULL, UNKNOWN, split_types, type_masks
from .interaction import ID_COLUMNS, TIME_COLUMNS, InteractionType, canonical_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .signals import SignalTable

STATUS = part("type_status")
TYPES = part("interaction_type")
ZERO_RESULTS = part("zero_results")
EVENT_TIME = "event_time"
ALIAS = "document_id"
ALWAYS = ("feature_id", "interaction_type", "position")


@dataclass(frozen=True)
class Wanted:
    """What the caller asked for.

    Attributes
    ----------
    columns : tuple of str
        Canonical columns in canonical order.
    extra : tuple of str
        Further columns that pass through untouched.
    signals : SignalTable
    default_types : tuple of str, or None
        Types of a row that has none.
    """

    columns: tuple[str, ...]
    extra: tuple[str, ...]
    signals: SignalTable
    default_types: tuple[str, ...] | None

    @property
    def sources(self) -> frozenset[str]:
        """Every raw column that may be read."""
        return frozenset({*self.columns, *self.extra, *ALWAYS, ALIAS, *TIME_COLUMNS})


class Plan:
    """How one source's raw columns become canonical ones.

    Parameters
    ----------
    schema : mapping of str to DataType
        Raw columns of the source.
    wanted : Wanted
    source : str
        Name of the source, for messages.
    text : bool
        Whether every raw column is text that must be parsed (CSV).
    timed : bool
        Whether the source has any time; then a row without one is bad.

    Raises
    ------
    InvalidInputError
        If a required column is missing, or a column's type cannot hold what it should.
    """

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        wanted: Wanted,
        source: str,
        *,
        text: bool,
        timed: bool,
    ) -> None:
        self.wanted, self.source, self.text, self.timed = wanted, source, text, timed
        self.schema = {name: schema[name] for name in schema if name in wanted.sources}
        _require(schema, wanted, source)
        self.columns = {name: made for name in _needed(wanted) if (made := self._column(name))}
        self.rules = [*self._type_rules(), *(r for c in self.columns.values() for r in c.rules)]
        if timed:
            self.rules.append(self._time_rule())

    @property
    def reads(self) -> list[str]:
        """Raw columns to read, in the source's order."""
        return list(self.schema)

    @property
    def present(self) -> frozenset[str]:
        """Requested columns, canonical and extra, that the source has."""
        extra = (name for name in self.wanted.extra if name in self.schema)
        return frozenset({*(n for n in self.wanted.columns if n in self.columns), *extra})

    def check(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Return the valid rows as canonical columns, and the faults of the others.

        Parameters
        ----------
        frame : DataFrame
            Raw rows with the columns of `reads`.

        Returns
        -------
        valid : DataFrame
        faults : DataFrame or None
            Columns of `FAULT_SCHEMA`, where ``row`` is the index into `frame`.
        """
        prepared = self._prepare(frame)
        fired, empty = self._alarms(prepared)
        blamed = _blame(prepared, fired) if fired else None
        if blamed is None or not (bad := blamed >= 0).any():
            return self._canonical(prepared, empty), None
        rows = np.flatnonzero(bad)
        return (
            self._canonical(prepared.filter(pl.Series(~bad)), empty),
            _faults(prepared[rows], rows, blamed[rows], fired),
        )

    def _alarms(self, prepared: pl.DataFrame) -> tuple[list[Rule], set[str]]:
        """Return the rules that some row may break, and the columns that hold empty text."""
        texts = [name for name, column in self.columns.items() if column.may_be_empty]
        found = prepared.select(
            *(rule.alarm.alias(str(i)) for i, rule in enumerate(self.rules)),
            *((pl.col(part(n)).str.len_bytes().min() == 0).alias(n) for n in texts),
        ).row(0)
        fired = [rule for rule, alarm in zip(self.rules, found, strict=False) if alarm]
        empty = {n for n, alarm in zip(texts, found[len(self.rules) :], strict=True) if alarm}
        return fired, empty

    def _column(self, name: str) -> Column | None:
        alias = name == "feature_id" and ALIAS in self.schema
        if name not in self.schema and not alias:
            return None
        if name == "interaction_type":
            return Column(pl.col(TYPES), {TYPES: self._type_lists()})
        if alias:
            return self._aliased()
        return _column(self._raw(name))

    def _raw(self, name: str) -> Raw:
        return Raw(name, self.schema[name], self.text, self.source)

    def _aliased(self) -> Column:
        """feature_id where only its alias is given, or both."""
        alias = self._raw(ALIAS)
        if "feature_id" not in self.schema:
            return id_column(alias, required=True, name="feature_id")
        made = id_column(self._raw("feature_id"), required=True)
        other = id_column(alias)
        ours, theirs = pl.col(part("own feature_id")), pl.col(part(ALIAS))
        made.prepare[part("own feature_id")] = made.prepare.pop(part("feature_id"))
        made.prepare |= other.prepare
        made.later[part("feature_id")] = pl.coalesce(ours, theirs)
        conflict = ((ours != theirs) & (ours != "") & (theirs != "")).fill_null(value=False)
        value = pl.concat_str(ours, theirs, separator=" and ")
        made.rules.insert(0, Rule(ALIAS, reasons.ALIAS_CONFLICT, conflict.any(), conflict, value))
        return made

    def _type_lists(self) -> pl.Expr:
        column, given = self._raw("interaction_type"), pl.col(raw("interaction_type"))
        dtype = column.dtype
        if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
            lists = given.cast(pl.String).map_batches(split_types, return_dtype=pl.List(pl.String))
        elif isinstance(dtype, pl.List | pl.Array) and isinstance(
            dtype.inner,
            pl.String | pl.Categorical | pl.Enum | pl.Null,
        ):
            lists = given.cast(pl.List(pl.String))
        else:
            mend = "Give a list of names such as ['click']"
            raise column.refuse(expected="a list of text", mend=mend)
        if self.wanted.default_types is None:
            return lists
        return pl.when(lists.is_null()).then(self._default_types()).otherwise(lists)

    def _default_types(self) -> pl.Expr:
        names = list(self.wanted.default_types or ())
        return pl.lit(pl.Series([names], dtype=pl.List(pl.String))).first()

    def _type_rules(self) -> list[Rule]:
        status, types = pl.col(STATUS), pl.col(TYPES)
        known = list(self.wanted.signals.vocabulary)
        strange = types.list.eval(pl.element().filter(~pl.element().is_in(known))).list.first()
        shown = types.list.join("|", ignore_nulls=True)
        return [
            Rule("interaction_type", reason, (status == code).any(), status == code, value)
            for code, reason, value in (
                (MISSING, reasons.TYPES_MISSING, shown),
                (NULL, reasons.TYPES_NULL, shown),
                (UNKNOWN, reasons.TYPES_UNKNOWN, strange),
            )
        ]

    def _time_rule(self) -> Rule:
        untimed = pl.all_horizontal(pl.col(part(n)).is_null() for n in self._times())
        return Rule("occurred_at", reasons.NO_TIME, untimed.any(), untimed, pl.lit(None))

    def _times(self) -> list[str]:
        return [name for name in TIME_COLUMNS if name in self.columns]

    def _prepare(self, frame: pl.DataFrame) -> pl.DataFrame:
        prepared = frame.select(pl.all().name.prefix(raw("")))
        made = [expr.alias(name) for c in self.columns.values() for name, expr in c.prepare.items()]
        later = [expr.alias(name) for c in self.columns.values() for name, expr in c.later.items()]
        prepared = prepared.with_columns(made).with_columns(later)
        if TYPES not in prepared.columns:
            prepared = prepared.with_columns(self._default_types().alias(TYPES))
        signals = self.wanted.signals
        masks, status = type_masks(prepared[TYPES], signals.vocabulary)
        zero = np.uint64(1 << signals.bit(InteractionType.ZERO_RESULTS))
        return prepared.with_columns(
            pl.Series(MASK, masks),
            pl.Series(STATUS, status),
            pl.Series(ZERO_RESULTS, (masks & zero) != 0),
        )

    def _canonical(self, prepared: pl.DataFrame, empty: Collection[str]) -> pl.DataFrame:
        schema = canonical_schema()
        columns = [self._value(name, schema[name], empty) for name in self.wanted.columns]
        extra = [self._extra(name) for name in self.wanted.extra]
        times = [pl.col(part(name)) for name in self._times()]
        moment = pl.coalesce(times) if times else pl.lit(None, pl.Datetime("us"))
        return prepared.select(*columns, *extra, MASK, moment.alias(EVENT_TIME))

    def _value(self, name: str, dtype: pl.DataType, empty: Collection[str]) -> pl.Expr:
        if name == "interaction_type":
            return pl.col(TYPES).alias(name)
        if name not in self.columns:
            return pl.lit(None, dtype).alias(name)
        value = self.columns[name].value
        # Empty text means absent: else all rows without an execution would make up one.
        return (pl.when(value != "").then(value) if name in empty else value).alias(name)

    def _extra(self, name: str) -> pl.Expr:
        if name in self.schema:
            return pl.col(raw(name)).alias(name)
        return pl.lit(None, pl.String).alias(name)


def _needed(wanted: Wanted) -> list[str]:
    needed = {*wanted.columns, *ALWAYS, *TIME_COLUMNS}
    return [name for name in canonical_schema() if name in needed]


def _require(schema: Collection[str], wanted: Wanted, source: str) -> None:
    required = ["position"] if wanted.default_types else ["interaction_type", "position"]
    absent = [name for name in required if name not in schema]
    if "feature_id" not in schema and ALIAS not in schema:
        absent.insert(0, "feature_id")
    if absent:
        there = sorted(schema)
        hints = "".join(did_you_mean(name, there) for name in absent)
        shown = ", ".join(there[:30]) + (", ..." if len(there) > 30 else "")
        msg = f"{source}: no column {', '.join(absent)}. It has: {shown or 'none'}.{hints}"
        raise InvalidInputError(msg)


def _column(column: Raw) -> Column:
    name = column.name
    if name in TIME_COLUMNS:
        return time_column(column)
    if name in ID_COLUMNS:
        return id_column(column, required=name == "feature_id")
    if name in {"metadata", "query_snapshot"}:
        return json_column(column, is_object=name == "metadata")
    if name == "document_score":
        return score_column(column)
    return whole_column(column, required=name == "position")


def _blame(prepared: pl.DataFrame, fired: Sequence[Rule]) -> np.ndarray:
    """Return for every row the first rule that it breaks; -1 where it breaks none."""
    broken = prepared.select(
        r.bad.fill_null(value=False).alias(str(i)) for i, r in enumerate(fired)
    )
    blamed = np.full(prepared.height, -1, dtype=np.int64)
    for index in reversed(range(len(fired))):
        blamed[broken[str(index)].to_numpy()] = index
    return blamed


def _faults(
    bad: pl.DataFrame,
    rows: np.ndarray,
    blamed: np.ndarray,
    fired: Sequence[Rule],
) -> pl.DataFrame:
    found = bad.with_columns(pl.Series("row", rows), pl.Series("blamed", blamed))
    parts = [
        found.filter(pl.col("blamed") == index).select(
            "row",
            pl.lit(rule.field).alias("field"),
            shortened(rule.value).alias("value"),
            pl.lit(rule.reason).alias("reason"),
        )
        for index, rule in enumerate(fired)
    ]
    return pl.concat(parts).cast(pl.Schema(FAULT_SCHEMA)).sort("row")


def shortened(value: pl.Expr) -> pl.Expr:
    """Return a value as text of at most 200 characters that keeps no longer text alive."""
    text = value.cast(pl.String)
    cut = pl.when(text.str.len_bytes() > VALUE_CHARACTERS).then(
        pl.concat_str(text.str.head(VALUE_CHARACTERS - 3), pl.lit("...")),
    )
    return cut.otherwise(text)
