"""From the columns that a source has to the canonical ones, and the check of one batch."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..record import fault as reasons
from ..record.interaction import (
    ID_COLUMNS,
    TIME_COLUMNS,
    InteractionType,
    canonical_schema,
)
from ..record.mapping import InputMapping
from ..record.type_names import unknown_reason
from .column_names import likely_column, missing_columns
from .column_rules import (
    MASK,
    Column,
    Raw,
    Rule,
    id_column,
    is_text,
    json_column,
    may_be_absent,
    prepared_name,
    raw_name,
    score_column,
    time_column,
    whole_column,
)
from .json_lines import JsonLinesSource, json_schema
from .partitioned import PartitionedSource
from .quarantine import FAULT_SCHEMA, VALUE_CHARACTERS
from .records import RecordsSource
from .type_masks import MISSING, NULL, UNKNOWN, TypeReader

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from ..record.signals import SignalTable
    from .source import Source

STATUS = prepared_name("type_status")
TYPES = prepared_name("interaction_type")
ZERO_RESULTS = prepared_name("zero_results")
EVENT_TIME = "event_time"
ALIAS = "document_id"
ALWAYS = ("feature_id", "interaction_type", "position")
FIRST_ROWS: Final = 1_000
"""How many records at least are looked at for the keys that a source has."""

_NUMBERS: Final = ("position", "document_score", "result_set_size")


@dataclass(frozen=True)
class Request:
    """The columns and types that the caller of a scan requested.

    Attributes
    ----------
    columns : tuple of str
        Canonical columns in canonical order.
    extra : tuple of str
        Further columns, returned as they are.
    signals : SignalTable
    default_types : tuple of str, or None
        Types of a row that has none.
    mapping : InputMapping
    now : datetime, optional
        Later times become this one; None: the clock's when a block is read.
    needs_position : bool
        Whether a row without a position is bad, and a source without that column too.
    """

    columns: tuple[str, ...]
    extra: tuple[str, ...]
    signals: SignalTable
    default_types: tuple[str, ...] | None
    mapping: InputMapping = field(default_factory=InputMapping)
    now: dt.datetime | None = None
    needs_position: bool = True

    @property
    def fields(self) -> list[str]:
        """Every field that may be read, in canonical order, and the alias of feature_id."""
        needed = {*self.columns, *ALWAYS, *TIME_COLUMNS}
        alias = [] if "feature_id" in self.mapping.columns else [ALIAS]
        return [*(name for name in canonical_schema() if name in needed), *alias]


class CheckedBlock(NamedTuple):
    """A block in canonical columns, and what its check found.

    Attributes
    ----------
    valid : DataFrame
    faults : DataFrame or None
        Columns of `FAULT_SCHEMA`, where ``row`` is the index into the block, and ``type_mask``: 0
        where the types cannot be read.
    future : int
        Valid rows whose time was in the future and became now.
    null_words : dict of str to int
        Column -> rows in which it holds a word for a missing value.
    unplaced : ndarray of int64
        Index into the block of the valid rows that have no position, where they need none.
    """

    valid: pl.DataFrame
    faults: pl.DataFrame | None
    future: int
    null_words: dict[str, int]
    unplaced: NDArray[np.int64]


class ColumnPlan:
    """How one source's raw columns become canonical ones.

    Parameters
    ----------
    source : Source
    request : Request

    Attributes
    ----------
    timed : bool
        Whether the source has any time; then a row without one is bad.

    Raises
    ------
    InvalidInputError
        If a required column is missing, or a column's type cannot hold what it should.
    """

    def __init__(self, source: Source, request: Request) -> None:
        self.request, self.source = request, source
        self.sources = _sources_of_fields(source, request)
        own = {} if source.schema is not None else request.mapping.columns
        self._fallbacks = frozenset(own).intersection(self.sources).difference(own.values())
        schema = json_schema(self.reads) if source.schema is None else source.schema
        self.schema = {name: schema[raw] for name, raw in self.sources.items()}
        self._leave_out_empty()
        times = {raw: name for name, raw in self.sources.items() if name in TIME_COLUMNS}
        times |= {name: name for name in self._fallbacks if name in TIME_COLUMNS}
        self.timed = source.has_values(times)
        self._filled: set[str] = set()
        self.types = TypeReader(request.signals.vocabulary, request.mapping.types)
        self.columns = {
            name: made for name in request.fields if (made := self._column(name)) is not None
        }
        self.rules = [*self._type_rules(), *(r for c in self.columns.values() for r in c.rules)]
        if self.timed:
            self.rules.append(self._time_rule())
        if not request.needs_position:
            self.rules = [rule for rule in self.rules if not _is_of_position(rule)]

    @property
    def reads(self) -> dict[str, str]:
        """Raw column to read -> the field that it holds."""
        extra = {name: name for name in self.request.extra if self._has(name)}
        # Where one column holds two fields, one of them a number, both are made from its text.
        fields = sorted(self.sources, key=lambda name: name not in _NUMBERS)
        # A fallback is text of any kind: it is no fault of a record that has the mapped key.
        fallbacks = dict.fromkeys(sorted(self._fallbacks), "")
        return extra | fallbacks | {self.sources[name]: name for name in fields}

    @property
    def mapped(self) -> frozenset[str]:
        """Fields whose column the mapping names and the source has; once read for JSON."""
        columns = self.request.mapping.columns
        if self.source.schema is None:
            return frozenset(name for name in columns if name in self._filled)
        return frozenset(n for n, column in columns.items() if column in self.source.schema)

    @property
    def present(self) -> frozenset[str]:
        """Requested columns, canonical and extra, that the source has."""
        extra = (name for name in self.request.extra if self._has(name))
        return frozenset({*(n for n in self.request.columns if n in self.columns), *extra})

    def _has(self, name: str) -> bool:
        return self.source.schema is None or name in self.source.schema

    def names(self) -> set[str]:
        """Return the names of the columns, or the keys of at least the first 1,000 records."""
        source: Source | PartitionedSource = self.source
        found = set(source.schema or ())
        if isinstance(source, PartitionedSource):
            found.update(source.shared)
            source = source.source
        if isinstance(source, JsonLinesSource | RecordsSource):
            n_read = 0
            # The last line of a file, if no newline ends it, is a block of its own.
            for values in source.values():
                found.update(str(key) for row in values.rows for key in row)
                n_read += len(values.rows)
                if n_read >= FIRST_ROWS:
                    break
        return found

    def check_keys(self) -> None:
        """Raise if records, none of which is valid, lack a required key and another looks like it.

        Raises
        ------
        InvalidInputError
            With the likely mapping, as for a table that lacks a column.
        """
        keys = self.names()
        required = ALWAYS if self.request.default_types is None else ("feature_id", "position")
        names = {name: (name, self.request.mapping.column(name)) for name in required}
        absent = [name for name in required if not keys.intersection(names[name])]
        if ALIAS in keys:
            absent = [name for name in absent if name != "feature_id"]
        if any(likely_column(name, keys) for name in absent):
            raise missing_columns(self.source.name, absent, self.request.mapping, keys)

    def check(self, frame: pl.DataFrame) -> CheckedBlock:
        """Return the valid rows of a block of `reads`, and the faults of the others."""
        if self.source.schema is None:
            mapped = self.request.mapping.columns
            names = [n for n in mapped if n in self.sources and n not in self._filled]
            self._filled |= {n for n in names if not frame[self.sources[n]].is_null().all()}
        prepared = self._prepare(frame)
        fired, filled = self._alarms(prepared)
        blamed = _blame(prepared, fired) if fired else None
        null_words = self._null_words(prepared, filled)
        if blamed is None or not (bad := blamed >= 0).any():
            valid, faults, good = prepared, None, None
        else:
            rows, good = np.flatnonzero(bad), np.flatnonzero(~bad)
            valid = prepared.filter(pl.Series(~bad))
            faults = _faults(prepared[rows], rows, blamed[rows], fired)
        valid, future = self._without_future(valid)
        canonical = self._canonical(valid, filled)
        unplaced = self._unplaced(canonical)
        if good is not None:
            unplaced = good[unplaced]
        return CheckedBlock(canonical, faults, future, null_words, unplaced)

    def _unplaced(self, valid: pl.DataFrame) -> NDArray[np.int64]:
        if self.request.needs_position or not valid["position"].null_count():
            return np.empty(0, np.int64)
        return valid["position"].is_null().arg_true().to_numpy().astype(np.int64)

    def _alarms(self, prepared: pl.DataFrame) -> tuple[list[Rule], set[str]]:
        """Return the rules that some row may break, and the columns with words for absence."""
        texts = [name for name, column in self.columns.items() if column.absent]
        words = (may_be_absent(pl.col(prepared_name(n))).alias(n) for n in texts)
        alarms = (rule.alarm.alias(str(i)) for i, rule in enumerate(self.rules))
        found = prepared.select(*alarms, *words).row(0)
        fired = [rule for rule, alarm in zip(self.rules, found, strict=False) if alarm]
        short = [n for n, alarm in zip(texts, found[len(self.rules) :], strict=True) if alarm]
        checked = prepared.select(
            pl.col(prepared_name(n)).is_in(self.columns[n].absent).any().alias(n) for n in short
        )
        return fired, {name for name in short if checked[name].item()}

    def _null_words(self, prepared: pl.DataFrame, names: Collection[str]) -> dict[str, int]:
        counts = prepared.select(
            pl.col(prepared_name(name)).is_in(self.columns[name].absent[1:]).sum().alias(name)
            for name in names
        )
        return {name: rows for name, rows in counts.to_dicts()[0].items() if rows} if names else {}

    def _without_future(self, valid: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """Return rows whose times are at most now, and how many of them were later."""
        times = [prepared_name(name) for name in self._times()]
        now = (self.request.now or dt.datetime.now(dt.UTC)).replace(tzinfo=None)
        if not times or not valid.select(pl.max_horizontal(pl.col(times).max()) > now).item():
            return valid, 0
        late = valid.select(pl.any_horizontal(pl.col(times) > now).sum()).item()
        return valid.with_columns(pl.col(times).clip(upper_bound=pl.lit(now))), late

    def _column(self, name: str) -> Column | None:
        if name == ALIAS:
            return None
        alias = name == "feature_id" and ALIAS in self.schema
        if name not in self.schema and not alias:
            return None
        if name == "interaction_type":
            return Column(pl.col(TYPES), {TYPES: self._type_lists()})
        return self._aliased() if alias else self._plain_column(self._raw(name))

    def _plain_column(self, column: Raw) -> Column:
        name, mapping = column.name, self.request.mapping
        if name in TIME_COLUMNS:
            return time_column(column, mapping.time_unit)
        if name in ID_COLUMNS:
            return id_column(column, required=name == "feature_id")
        if name in {"metadata", "query_snapshot"}:
            return json_column(column, is_object=name == "metadata")
        if name == "document_score":
            return score_column(column)
        position = name == "position"
        base = mapping.position_base if position else 0
        return whole_column(column, required=position, base=base)

    def _raw(self, name: str) -> Raw:
        dtype = self.schema[name]
        if dtype == pl.Null:
            dtype = pl.Float64() if name in _NUMBERS else pl.String()
        return Raw(name, dtype, self.source.text, self.source.name, self.sources[name])

    def _leave_out_empty(self) -> None:
        """Leave out optional columns of a type that cannot hold their field, if nothing is in them.

        pandas gives an empty column of ids the type of numbers or times.
        """
        for name in [name for name in self.sources if name not in (*ALWAYS, ALIAS)]:
            try:
                self._plain_column(self._raw(name))
            except InvalidInputError:
                if self.source.has_values({self.sources[name]: name}):
                    raise
                del self.sources[name], self.schema[name]

    def _aliased(self) -> Column:
        """feature_id where only its alias is given, or both."""
        alias = self._raw(ALIAS)
        if "feature_id" not in self.schema:
            return id_column(alias, required=True, name="feature_id")
        made = id_column(self._raw("feature_id"), required=True)
        other = id_column(alias)
        ours, theirs = pl.col(prepared_name("own feature_id")), pl.col(prepared_name(ALIAS))
        made.prepare[prepared_name("own feature_id")] = made.prepare.pop(
            prepared_name("feature_id")
        )
        made.prepare |= other.prepare
        made.later[prepared_name("feature_id")] = pl.coalesce(ours, theirs)
        conflict = ((ours != theirs) & (ours != "") & (theirs != "")).fill_null(value=False)
        value = pl.concat_str(ours, theirs, separator=" and ")
        made.rules.insert(0, Rule(ALIAS, reasons.ALIAS_CONFLICT, conflict.any(), conflict, value))
        return made

    def _type_lists(self) -> pl.Expr:
        column, given = self._raw("interaction_type"), pl.col(raw_name("interaction_type"))
        dtype = column.dtype
        if dtype.is_numeric() or dtype == pl.Boolean:
            # Codes, which a mapping names by their text.
            given, dtype = given.cast(pl.String).str.strip_suffix(".0"), pl.String()
        if is_text(dtype):
            lists = given.cast(pl.String).map_batches(
                self.types.lists, return_dtype=pl.List(pl.String)
            )
        elif isinstance(dtype, pl.List | pl.Array) and (
            is_text(dtype.inner) or isinstance(dtype.inner, pl.Null | pl.Binary)
        ):
            lists = given.cast(pl.List(pl.String))
        else:
            advice = "Give a list of names such as ['click']"
            raise column.refuse(expected="a list of text", advice=advice)
        if self.request.default_types is None:
            return lists
        return pl.when(lists.is_null()).then(self._default_types()).otherwise(lists)

    def _default_types(self) -> pl.Expr:
        names = list(self.request.default_types or ())
        return pl.lit(pl.Series([names], dtype=pl.List(pl.String))).first()

    def _type_rules(self) -> list[Rule]:
        status, types = pl.col(STATUS), pl.col(TYPES)
        shown = types.list.join("|", ignore_nulls=True)
        unknown = types.map_batches(self.types.unknown, return_dtype=pl.String)
        # No method of this object: polars would hold it, and with it the source, for ever.
        reasons_of = partial(_unknown_reasons, self.request.signals.vocabulary)
        reason = unknown.map_batches(reasons_of, return_dtype=pl.String)
        return [
            Rule("interaction_type", reason, (status == code).any(), status == code, value)
            for code, reason, value in (
                (MISSING, reasons.TYPES_MISSING, shown),
                (NULL, reasons.TYPES_NULL, shown),
                (UNKNOWN, reason, unknown),
            )
        ]

    def _time_rule(self) -> Rule:
        untimed = pl.all_horizontal(pl.col(prepared_name(n)).is_null() for n in self._times())
        return Rule("occurred_at", reasons.NO_TIME, untimed.any(), untimed, pl.lit(None))

    def _times(self) -> list[str]:
        return [name for name in TIME_COLUMNS if name in self.columns]

    def _prepare(self, frame: pl.DataFrame) -> pl.DataFrame:
        fields = {**{n: n for n in self.request.extra if n in frame.columns}, **self.sources}
        prepared = frame.select(
            self._given(name, pl.col(raw)).alias(raw_name(name)) for name, raw in fields.items()
        )
        made = [expr.alias(name) for c in self.columns.values() for name, expr in c.prepare.items()]
        later = [expr.alias(name) for c in self.columns.values() for name, expr in c.later.items()]
        prepared = prepared.with_columns(made).with_columns(later)
        if TYPES not in prepared.columns:
            prepared = prepared.with_columns(self._default_types().alias(TYPES))
        masks, status = self.types.masks(prepared[TYPES])
        zero = np.uint64(1 << self.request.signals.bit(InteractionType.ZERO_RESULTS))
        return prepared.with_columns(
            pl.Series(MASK, masks),
            pl.Series(STATUS, status),
            pl.Series(ZERO_RESULTS, (masks & zero) != 0),
        )

    def _given(self, name: str, column: pl.Expr) -> pl.Expr:
        """Return a column, in the type that it should have where nothing in it is filled.

        Where a record lacks a mapped key, the field's own name holds, as it does for whole tables.
        """
        if name in self._fallbacks:
            own = pl.col(name)
            if name in _NUMBERS:
                return pl.coalesce(column, own.cast(pl.Float64, strict=False))
            nested = name in ID_COLUMNS and own.str.contains(r"^[\[{]")
            return pl.coalesce(column, own if nested is False else pl.when(~nested).then(own))
        return column.cast(self._raw(name).dtype) if self.schema.get(name) == pl.Null else column

    def _canonical(self, prepared: pl.DataFrame, filled: Collection[str]) -> pl.DataFrame:
        schema = canonical_schema()
        columns = [self._value(name, schema[name], filled) for name in self.request.columns]
        extra = [self._extra(name, prepared.columns) for name in self.request.extra]
        times = [pl.col(prepared_name(name)) for name in self._times()]
        moment = pl.coalesce(times) if times else pl.lit(None, pl.Datetime("us"))
        return prepared.select(*columns, *extra, MASK, moment.alias(EVENT_TIME))

    def _value(self, name: str, dtype: pl.DataType, filled: Collection[str]) -> pl.Expr:
        if name == "interaction_type":
            types = pl.col(TYPES).map_batches(self.types.known, return_dtype=dtype)
            return types.alias(name)
        if name not in self.columns:
            return pl.lit(None, dtype).alias(name)
        column = self.columns[name]
        if name not in filled:
            return column.value.alias(name)
        # Empty text means absent: else all rows without an execution would make up one.
        return pl.when(~column.value.is_in(column.absent)).then(column.value).alias(name)

    @staticmethod
    def _extra(name: str, columns: Collection[str]) -> pl.Expr:
        found = raw_name(name) in columns
        return (pl.col(raw_name(name)) if found else pl.lit(None, pl.String)).alias(name)


def _sources_of_fields(source: Source, request: Request) -> dict[str, str]:
    """Return field -> raw column for the fields that a source has."""
    mapping, schema = request.mapping, source.schema
    if schema is None:
        return {name: mapping.column(name) for name in request.fields}
    found: dict[str, str] = {}
    for name in request.fields:
        raw = mapping.column(name) if mapping.column(name) in schema else name
        if raw in schema and (name in ALWAYS or schema[raw] != pl.Null):
            found[name] = raw
    required = ["feature_id", *([] if request.default_types else ["interaction_type"])]
    # A column that is called differently is no late conversion.
    if request.needs_position or likely_column("position", schema):
        required.insert(1, "position")
    absent = [name for name in required if name not in found]
    if ALIAS in found:
        absent = [name for name in absent if name != "feature_id"]
    if absent:
        raise missing_columns(source.name, absent, mapping, schema)
    return found


def _unknown_reasons(vocabulary: Sequence[str], names: pl.Series) -> pl.Series:
    found = {name: unknown_reason(name, vocabulary) for name in names.unique().drop_nulls()}
    return names.replace_strict(found, default=None, return_dtype=pl.String)


def _is_of_position(rule: Rule) -> bool:
    return rule.field == "position" and str(rule.reason) == reasons.MISSING


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
            (pl.lit(rule.reason) if isinstance(rule.reason, str) else rule.reason).alias("reason"),
            MASK,
        )
        for index, rule in enumerate(fired)
    ]
    return pl.concat(parts).cast(pl.Schema({**FAULT_SCHEMA, MASK: pl.UInt64()})).sort("row")


def shortened(value: pl.Expr) -> pl.Expr:
    """Return a value as text of at most 200 characters that keeps no longer text alive."""
    text = value.cast(pl.String)
    cut = pl.when(text.str.len_bytes() > VALUE_CHARACTERS).then(
        pl.concat_str(text.str.head(VALUE_CHARACTERS - 3), pl.lit("...")),
    )
    return cut.otherwise(text)
