"""One canonical column at a time: how to make it from a raw column, and when a row breaks a rule.

A rule has an `alarm`, one boolean for a whole batch that costs next to nothing, and `bad`, one
boolean a row that is computed only where the alarm is true. Raw columns are named by `raw_name`,
values prepared from them by `prepared_name`, so that neither shadows a canonical name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..record import fault as reasons
from ..record.ids import MAX_EXACT_FLOAT, NULL_WORDS
from ..record.interaction import (
    MAX_DEPTH,
    MAX_ID_CHARACTERS,
    MAX_INT32,
    MAX_TEXT_CHARACTERS,
)
from ..record.json_depth import depth
from ..record.times import NUMBER, epoch_times, parse_times

if TYPE_CHECKING:
    from ..record.mapping import TimeUnit

MASK: Final = "type_mask"
MAX_EXACT_FLOATS: Final = {pl.Float32: 2**24, getattr(pl, "Float16", None): 2**11}
ABSENT_IDS: Final = ("", *sorted(NULL_WORDS))
_LONGEST_WORD: Final = max(map(len, NULL_WORDS))
_OBJECT: Final = r'(?s)^\{[\s]*["}].*\}$'
_NO_KEY: Final = r'^\s*\{\s*[^"}\s]'
ABSENT_JSON: Final = ("", "NULL", r"\N", "<NA>")
"""Texts that mean no query or metadata: fewer, for people do search for nan or null."""


def raw_name(name: str) -> str:
    """Return the name of a raw column in a frame that holds canonical ones too."""
    return f"raw {name}"


def prepared_name(name: str) -> str:
    """Return the name of a value between the raw and the canonical column."""
    return f"part {name}"


@dataclass(frozen=True)
class Rule:
    """When a row is bad: `alarm` says whether any row may be, `bad` which one is."""

    field: str
    reason: str | pl.Expr
    alarm: pl.Expr
    bad: pl.Expr
    value: pl.Expr


@dataclass
class Column:
    """How one canonical column comes about.

    Attributes
    ----------
    prepare : dict of str to Expr
        Values in between, over the raw columns.
    value : Expr
        The canonical column, over raw columns and values in between.
    later : dict of str to Expr
        Values in between that need those of `prepare`.
    rules : list of Rule
        In the order in which a row is blamed.
    absent : tuple of str
        Texts that mean that the value is absent.
    """

    value: pl.Expr
    prepare: dict[str, pl.Expr] = field(default_factory=dict)
    later: dict[str, pl.Expr] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Raw:
    """A raw column: the field that it holds, its type, and whether the source is all text (CSV).

    `column` is its name in the source, where that is another one.
    """

    name: str
    dtype: pl.DataType
    text: bool
    source: str
    column: str = ""

    @property
    def given(self) -> pl.Expr:
        """The column, in text without the words for a missing value."""
        column = pl.col(raw_name(self.name))
        return pl.when(~column.is_in(NULL_WORDS)).then(column) if self.text else column

    def refuse(self, *, expected: str, advice: str) -> InvalidInputError:
        """Return the error for a whole column of a wrong type."""
        shown = str(self.dtype)[:100]
        name = repr(self.column or self.name)
        if self.column not in {"", self.name}:
            name += f" (for {self.name})"
        msg = f"{self.source}: column {name} has the type {shown}, expected {expected}."
        return InvalidInputError(f"{msg} {advice}")


def may_be_absent(text: pl.Expr) -> pl.Expr:
    """Return whether any text is short enough for a word that means a missing value."""
    return text.str.len_bytes().min() <= _LONGEST_WORD


def id_column(column: Raw, *, required: bool = False, name: str | None = None) -> Column:
    """Text of at most 1,024 characters; whole numbers become text; `ABSENT_IDS` mean absent.

    `name` is the canonical name where the column goes by another one.
    """
    source, dtype = pl.col(raw_name(column.name)), column.dtype
    name = name or column.name
    text = pl.col(prepared_name(name))
    made = Column(text)
    if dtype.is_float():
        whole = source.fill_nan(None)
        exact = MAX_EXACT_FLOATS.get(dtype.base_type(), MAX_EXACT_FLOAT)
        made.prepare[prepared_name(name)] = whole.cast(pl.Int64, strict=False).cast(pl.String)
        made.rules += [
            _rule(name, reasons.FLOAT_ID, whole.abs() >= exact, source),
            _rule(name, reasons.NOT_TEXT, whole != whole.floor(), source),
        ]
    elif dtype.is_decimal():
        made.prepare[prepared_name(name)] = source.cast(pl.String).str.replace(r"\.0*$", "")
        made.rules.append(_rule(name, reasons.NOT_TEXT, text.str.contains(r"\."), source))
    elif is_text(dtype) or dtype.is_integer() or dtype == pl.Null:
        made.prepare[prepared_name(name)] = source.cast(pl.String)
    else:
        raise column.refuse(expected="text or whole numbers", advice="Give it as text")
    if required:
        empty, is_word = text.str.len_bytes(), text.is_in(NULL_WORDS)
        alarm = (text.null_count() > 0) | is_word.any()
        made.rules += [
            Rule(name, reasons.MISSING, alarm, text.is_null() | is_word, text),
            Rule(name, reasons.EMPTY, empty.min() == 0, empty == 0, text),
        ]
    else:
        made.absent = ABSENT_IDS
    made.rules.append(_length_rule(name, MAX_ID_CHARACTERS, reasons.TOO_LONG_ID))
    return made


def json_column(column: Raw, *, is_object: bool) -> Column:
    """JSON as text: `metadata` holds an object, `query_snapshot` anything."""
    name, dtype = column.name, column.dtype
    source = pl.col(raw_name(name))
    if is_text(dtype):
        encoded = source.cast(pl.String)
    elif dtype.is_float() and not is_object:
        encoded = source.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    elif isinstance(dtype, pl.Struct):
        encoded = pl.when(source.is_not_null()).then(source.struct.json_encode())
    elif _is_map(dtype):
        encoded = _encode_map(source)
    elif is_object or isinstance(dtype, pl.Object):
        raise column.refuse(expected="JSON text, a struct or a map", advice="Give it as JSON text")
    else:
        encoded = pl.when(source.is_not_null()).then(_json_of(source))
    text = pl.col(prepared_name(name))
    made = Column(text, {prepared_name(name): encoded}, absent=ABSENT_JSON)
    made.rules.append(_length_rule(name, MAX_TEXT_CHARACTERS, reasons.TOO_LONG_TEXT))
    if is_object:
        stripped = text.str.strip_chars()
        shape = stripped.str.starts_with("{") & stripped.str.ends_with("}") | (
            text.is_in(ABSENT_JSON)
        )
        # A dict as Python writes it has single quotation marks, and none of its fields is found.
        shape &= ~text.str.contains(_NO_KEY)
        plain = text.str.contains(_OBJECT)
        made.rules.append(Rule(name, reasons.NOT_OBJECT, ~plain.all(), ~shape, text))
    deep = text.map_batches(_too_deep, return_dtype=pl.Boolean)
    made.rules.append(_rule(name, reasons.TOO_DEEP, deep, text))
    return made


def whole_column(column: Raw, *, required: bool, base: int = 0) -> Column:
    """Whole numbers that fit into 32 bits, counted from `base`; whole floats are taken."""
    name, dtype = column.name, column.dtype
    number = pl.col(prepared_name(name))
    shown = pl.col(raw_name(name)).cast(pl.String).str.strip_suffix(".0")
    made = Column(number.cast(pl.Int32, strict=False))
    if dtype.is_integer():
        given = column.given.cast(pl.Int64, strict=False) if base else column.given
        made.prepare[prepared_name(name)] = given - base if base else given
    else:
        made.prepare[prepared_name(name)] = _as_float(column) - base
        made.rules.append(_unparsed_rule(column, reasons.NOT_WHOLE))
        made.rules.append(_rule(name, reasons.NOT_WHOLE, number != number.floor(), shown))
    if required:
        negative = reasons.BELOW_BASE if base else reasons.NEGATIVE
        missing = Rule(name, reasons.MISSING, number.null_count() > 0, number.is_null(), shown)
        made.rules.append(missing)
        made.rules.append(Rule(name, negative, number.min() < 0, number < 0, shown))
    else:
        made.rules.append(_list_size_rule(name))
    above = Rule(name, reasons.ABOVE_INT32, number.max() > MAX_INT32, number > MAX_INT32, shown)
    made.rules.append(above)
    return made


def score_column(column: Raw) -> Column:
    """Any finite number; NaN means missing."""
    name = column.name
    number = pl.col(prepared_name(name))
    made = Column(number, {prepared_name(name): _as_float(column)})
    made.rules.append(_unparsed_rule(column, reasons.NOT_NUMBER))
    finite, given = number.is_finite(), pl.col(raw_name(name))
    made.rules.append(Rule(name, reasons.NOT_FINITE, ~finite.all(), ~finite, given))
    return made


def time_column(column: Raw, unit: TimeUnit | None) -> Column:
    """Moments, stored in microseconds of UTC without a zone; numbers count from 1970 in `unit`."""
    name, dtype = column.name, column.dtype
    source = pl.col(raw_name(name))
    time = pl.col(prepared_name(name))
    made = Column(time)
    if isinstance(dtype, pl.Datetime):
        zoned = source.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        moment = (zoned if dtype.time_zone else source).cast(pl.Datetime("us"), strict=False)
    elif dtype == pl.Date:
        moment = source.cast(pl.Datetime("us"), strict=False)
    elif is_text(dtype):
        given = column.given.cast(pl.String)
        moment = given.map_batches(partial(parse_times, unit=unit), return_dtype=pl.Datetime("us"))
        broken = given.is_not_null() & (given != "") & time.is_null()
        if unit is None:
            number = broken & given.str.contains(NUMBER)
            made.rules.append(_rule(name, reasons.TIME_UNIT, number, source))
        made.rules.append(_rule(name, reasons.NOT_TIME, broken, source))
    elif dtype.is_numeric() and unit is not None:
        moment = source.map_batches(partial(epoch_times, unit=unit), return_dtype=pl.Datetime("us"))
    else:
        advice = "Numbers need time_unit='s', 'ms', 'us' or 'ns', counted since 1970"
        raise column.refuse(expected="a time or ISO 8601 text", advice=advice)
    made.prepare[prepared_name(name)] = moment
    first, last = pl.datetime(1, 1, 1), pl.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    outside = ~time.is_between(first, last)
    shown = source
    if dtype.is_temporal():
        outside = outside.fill_null(source.is_not_null())
        shown = time.dt.year()
    made.rules.append(_rule(name, reasons.TIME_RANGE, outside, shown.cast(pl.String)))
    return made


def is_text(dtype: Any) -> bool:
    """Return whether a column's values are text."""
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _rule(name: str, reason: str, bad: pl.Expr, value: pl.Expr) -> Rule:
    return Rule(name, reason, bad.any(), bad, value)


def _length_rule(name: str, limit: int, reason: str) -> Rule:
    text = pl.col(prepared_name(name))
    # Bytes are at least as many as characters and are known without looking at the text.
    return Rule(
        name,
        reason,
        text.str.len_bytes().max() > limit,
        text.str.len_chars() > limit,
        text,
    )


def _unparsed_rule(column: Raw, reason: str) -> Rule:
    name, given = column.name, column.given
    prepared = pl.col(prepared_name(name))
    if not is_text(column.dtype):
        return Rule(name, reason, pl.lit(value=False), pl.lit(value=False), given)
    broken = given.is_not_null() & (given.cast(pl.String) != "") & prepared.is_null()
    lost = prepared.null_count() > pl.col(raw_name(name)).null_count()
    return Rule(name, reason, lost, broken, pl.col(raw_name(name)))


def _list_size_rule(name: str) -> Rule:
    number = pl.col(prepared_name(name))
    bad = (number < 0) | ((number < 1) & ~pl.col(prepared_name("zero_results")))
    return Rule(name, reasons.BELOW_ONE, number.min() < 1, bad, pl.col(raw_name(name)))


def _as_float(column: Raw) -> pl.Expr:
    dtype = column.dtype
    if not dtype.is_numeric() and not (column.text and is_text(dtype)):
        advice = f"Cast it: pl.col({column.name!r}).cast(pl.Float64)"
        raise column.refuse(expected="numbers", advice=advice)
    number = column.given.cast(pl.Float64, strict=False)
    return number if dtype.is_integer() else number.fill_nan(None)


def _is_map(dtype: pl.DataType) -> bool:
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return False
    return [f.name for f in dtype.inner.fields] == ["key", "value"]


def _encode_map(source: pl.Expr) -> pl.Expr:
    element = pl.element()
    key = _json_of(element.struct.field("key").cast(pl.String))
    pair = pl.concat_str(key, _json_of(element.struct.field("value")), separator=":")
    joined = source.list.eval(pair).list.join(",")
    return pl.concat_str(pl.lit("{"), joined, pl.lit("}"))


def _json_of(value: pl.Expr) -> pl.Expr:
    """Return the JSON text of a value: that of a struct without its braces and its one key."""
    text = pl.struct(value.alias("value")).struct.json_encode()
    return text.str.slice(len('{"value":')).str.head(-1)


def _too_deep(texts: pl.Series) -> pl.Series:
    """Return for each text whether it is JSON that nests too deep; plain text never is."""
    # 65 opening brackets need 65 closing ones to be JSON at all.
    rows = (texts.str.len_bytes() > 2 * MAX_DEPTH).arg_true()
    if len(rows):
        long = texts.gather(rows)
        json = long.str.contains(r"^\s*[\[{]") & (long.str.count_matches(r"[\[{]") > MAX_DEPTH)
        rows = rows.filter(json)
    deep = [row for row in rows if depth(texts[row].encode()) > MAX_DEPTH]
    found = np.zeros(len(texts), dtype=np.bool_)
    found[deep] = True
    return pl.Series(texts.name, found)
