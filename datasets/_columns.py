"""One canonical column at a time: how to make it from a raw column, and when a row breaks a rule.

A rule has an `alarm`, one boolean for a whole batch that costs next to nothing, and `bad`, one
boolean a row that is worked out only where the alarm went off. Raw columns are named `raw(name)`,
values in between `part(name)`, so that nothing shadows the canonical names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from ..errors import InvalidInputError
from . import _reasons as reasons
from ._depth import too_deep
from ._times import parse_times
from .interaction import MAX_ID_CHARACTERS, MAX_INT32, MAX_TEXT_CHARACTERS

MASK: Final = "type_mask"


def raw(name: str) -> str:
    """Return the name under which a raw column stands beside the canonical ones."""
    return f"raw {name}"


def part(name: str) -> str:
    """Return the name of a value between the raw and the canonical column."""
    return f"part {name}"


@dataclass(frozen=True)
class Rule:
    """When a row is bad: `alarm` says whether any row may be, `bad` which one is."""

    field: str
    reason: str
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
    may_be_empty : bool
        Whether the value is text of which empty means absent.
    """

    value: pl.Expr
    prepare: dict[str, pl.Expr] = field(default_factory=dict)
    later: dict[str, pl.Expr] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    may_be_empty: bool = False


@dataclass(frozen=True)
class Raw:
    """A raw column: its canonical name, its type, and whether the source is all text (CSV)."""

    name: str
    dtype: pl.DataType
    text: bool
    source: str

    def refuse(self, *, expected: str, mend: str) -> InvalidInputError:
        """Return the error for a whole column of a wrong type."""
        shown = str(self.dtype)[:100]
        msg = (
            f"{self.source}: column {self.name!r} has the type {shown}, expected {expected}. {mend}"
        )
        return InvalidInputError(msg)


def id_column(column: Raw, *, required: bool = False, name: str | None = None) -> Column:
    """Text of at most 1,024 characters; whole numbers become text; empty means absent.

    `name` is the canonical name where the column goes by another one.
    """
    source, dtype = pl.col(raw(column.name)), column.dtype
    name = name or column.name
    made = Column(pl.col(part(name)))
    if dtype.is_float():
        whole = source.fill_nan(None)
        made.prepare[part(name)] = whole.cast(pl.Int64, strict=False).cast(pl.String)
        broken = whole.is_not_null() & ((whole != whole.floor()) | (whole.abs() >= 2.0**63))
        made.rules.append(_rule(name, reasons.NOT_TEXT, broken, source))
    elif _texty(dtype) or dtype.is_integer():
        made.prepare[part(name)] = source.cast(pl.String)
    else:
        mend = f"Cast it: pl.col({column.name!r}).cast(pl.String)"
        raise column.refuse(expected="text or whole numbers", mend=mend)
    text = pl.col(part(name))
    if required:
        made.rules.append(Rule(name, reasons.MISSING, text.null_count() > 0, text.is_null(), text))
        empty = text.str.len_bytes() == 0
        made.rules.append(_rule(name, reasons.EMPTY, empty, text))
    else:
        made.may_be_empty = True
    made.rules.append(_length_rule(name, MAX_ID_CHARACTERS, reasons.TOO_LONG_ID))
    return made


def json_column(column: Raw, *, is_object: bool) -> Column:
    """JSON as text: `metadata` holds an object, `query_snapshot` anything."""
    name, dtype = column.name, column.dtype
    source = pl.col(raw(name))
    if isinstance(dtype, pl.Struct):
        given = source.is_not_null()
        encoded: pl.Expr = pl.when(given).then(source.struct.json_encode())
    elif _is_map(dtype):
        encoded = _encode_map(source)
    elif _texty(dtype):
        encoded = source.cast(pl.String)
    else:
        mend = f"Give it as JSON text: pl.col({name!r}).struct.json_encode()"
        raise column.refuse(expected="JSON text, a struct or a map", mend=mend)
    text = pl.col(part(name))
    made = Column(text, {part(name): encoded}, may_be_empty=True)
    made.rules.append(_length_rule(name, MAX_TEXT_CHARACTERS, reasons.TOO_LONG_TEXT))
    if is_object:
        stripped = text.str.strip_chars()
        shape = stripped.str.starts_with("{") & stripped.str.ends_with("}") | (text == "")
        plain = text.str.starts_with("{") & text.str.ends_with("}")
        made.rules.append(Rule(name, reasons.NOT_OBJECT, ~plain.all(), ~shape, text))
    deep = text.map_batches(too_deep, return_dtype=pl.Boolean)
    made.rules.append(_rule(name, reasons.TOO_DEEP, deep, text))
    return made


def whole_column(column: Raw, *, required: bool) -> Column:
    """Whole numbers that fit into 32 bits; whole floats are taken."""
    name, dtype = column.name, column.dtype
    given, number = pl.col(raw(name)), pl.col(part(name))
    shown = given.cast(pl.String).str.strip_suffix(".0")
    made = Column(number.cast(pl.Int32, strict=False))
    if dtype.is_integer():
        made.prepare[part(name)] = given
    else:
        made.prepare[part(name)] = _as_float(column)
        made.rules.append(_unparsed_rule(name, reasons.NOT_WHOLE))
        fraction = number.is_nan() | (number != number.floor())
        made.rules.append(_rule(name, reasons.NOT_WHOLE, fraction, shown))
    if required:
        missing = Rule(name, reasons.MISSING, number.null_count() > 0, number.is_null(), shown)
        made.rules.append(missing)
        made.rules.append(Rule(name, reasons.NEGATIVE, number.min() < 0, number < 0, shown))
    else:
        made.rules.append(_list_size_rule(name))
    above = Rule(name, reasons.ABOVE_INT32, number.max() > MAX_INT32, number > MAX_INT32, shown)
    made.rules.append(above)
    return made


def score_column(column: Raw) -> Column:
    """Any finite number."""
    name = column.name
    number = pl.col(part(name))
    made = Column(number, {part(name): _as_float(column)})
    made.rules.append(_unparsed_rule(name, reasons.NOT_NUMBER))
    finite = number.is_finite()
    made.rules.append(Rule(name, reasons.NOT_FINITE, ~finite.all(), ~finite, pl.col(raw(name))))
    return made


def time_column(column: Raw) -> Column:
    """Moments, stored in microseconds of UTC without a zone."""
    name, dtype = column.name, column.dtype
    source = pl.col(raw(name))
    if isinstance(dtype, pl.Datetime):
        zoned = source.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        moment = (zoned if dtype.time_zone else source).dt.cast_time_unit("us")
    elif dtype == pl.Date:
        moment = source.cast(pl.Datetime("us"))
    elif _texty(dtype):
        moment = source.cast(pl.String).map_batches(parse_times, return_dtype=pl.Datetime("us"))
    else:
        mend = f'Cast it: pl.from_epoch({name!r}, time_unit="s"), or "ms" or "us"'
        raise column.refuse(expected="a time or ISO 8601 text", mend=mend)
    made = Column(pl.col(part(name)), {part(name): moment})
    if _texty(dtype):
        given = source.cast(pl.String)
        broken = (given.is_not_null() & (given != "")) & pl.col(part(name)).is_null()
        made.rules.append(_rule(name, reasons.NOT_TIME, broken, source))
    year = pl.col(part(name)).dt.year()
    first, last = pl.datetime(1, 1, 1), pl.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    outside = ~pl.col(part(name)).is_between(first, last)
    made.rules.append(_rule(name, reasons.TIME_RANGE, outside, year.cast(pl.String)))
    return made


def _rule(name: str, reason: str, bad: pl.Expr, value: pl.Expr) -> Rule:
    return Rule(name, reason, bad.any(), bad, value)


def _length_rule(name: str, limit: int, reason: str) -> Rule:
    text = pl.col(part(name))
    # Bytes are at least as many as characters and are known without looking at the text.
    return Rule(
        name,
        reason,
        text.str.len_bytes().max() > limit,
        text.str.len_chars() > limit,
        text,
    )


def _unparsed_rule(name: str, reason: str) -> Rule:
    given = pl.col(raw(name))
    broken = given.is_not_null() & (given.cast(pl.String) != "") & pl.col(part(name)).is_null()
    # A column of numbers loses nothing by the cast, so that its alarm stays silent at no cost.
    lost = pl.col(part(name)).null_count() > given.null_count()
    return Rule(name, reason, lost, broken, given)


def _list_size_rule(name: str) -> Rule:
    number = pl.col(part(name))
    bad = (number < 0) | ((number < 1) & ~pl.col(part("zero_results")))
    return Rule(name, reasons.BELOW_ONE, number.min() < 1, bad, pl.col(raw(name)))


def _as_float(column: Raw) -> pl.Expr:
    numeric = column.dtype.is_float() or column.dtype.is_integer() or column.dtype.is_decimal()
    if not numeric and not (column.text and _texty(column.dtype)):
        mend = f"Cast it: pl.col({column.name!r}).cast(pl.Float64)"
        raise column.refuse(expected="numbers", mend=mend)
    return pl.col(raw(column.name)).cast(pl.Float64, strict=False)


def _texty(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _is_map(dtype: pl.DataType) -> bool:
    if not isinstance(dtype, pl.List) or not isinstance(dtype.inner, pl.Struct):
        return False
    return [f.name for f in dtype.inner.fields] == ["key", "value"]


def _encode_map(source: pl.Expr) -> pl.Expr:
    element = pl.element()
    key = pl.struct(element.struct.field("key").cast(pl.String)).struct.json_encode()
    value = pl.struct(element.struct.field("value")).struct.json_encode()
    # '{"key":"a"}' without its braces and its own key is the JSON text of the key alone.
    pair = pl.concat_str(
        key.str.slice(len('{"key":')).str.head(-1),
        value.str.slice(len('{"value":')).str.head(-1),
        separator=":",
    )
    joined = source.list.eval(pair).list.join(",")
    return pl.concat_str(pl.lit("{"), joined, pl.lit("}"))
