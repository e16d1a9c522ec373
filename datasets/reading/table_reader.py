"""Tables that accompany a log, such as features or impressions, read whole by the log's readers.

Ids follow the rules of the log, so that those of two files meet; numbers are read from all rows.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from ...errors import InvalidInputError
from ..record.fault import Fault, FaultError
from ..record.ids import NULL_WORDS, id_text
from .column_rules import ABSENT_IDS, Raw, id_column, raw_name
from .json_lines import JsonLinesSource
from .open_sources import open_sources
from .partitioned import PartitionedSource
from .records import RecordsSource
from .source import Block
from .value_columns import value_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ..record.mapping import InputMapping
    from .source import Source, Values

MISSING_WORDS: Final = ("", *NULL_WORDS, "NA", "#NA", "-nan", "-NaN")
"""Words that mean a missing number where numbers come as text."""

_INDEX: Final = re.compile(r"|Unnamed: \d+(?:\.\d+)*|__index_level_\d+__|Unnamed: \d+_level_\d+")
_INDEX_NAMES: Final = frozenset({"index", "level_0"})
_TRUTHS: Final = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}


class _Part(NamedTuple):
    """A block of one source; the columns in `words` are text that may be numbers."""

    source: Source
    numbers: NDArray[np.int64] | int
    frame: pl.DataFrame
    words: Collection[str] = ()


class Table(NamedTuple):
    """A table that was read, and why columns were left out."""

    frame: pl.DataFrame
    left_out: dict[str, str]


def read_table(
    source: Any,
    parameter: str,
    *,
    ids: Collection[str],
    leave_out: Collection[str] = (),
    mapping: InputMapping | None = None,
) -> Table:
    """Return all rows of a table, in one frame, without columns that only number them.

    Parameters
    ----------
    source : path, glob, table, list of dicts, or a list of paths and globs
        As for `Scan`.
    parameter : str
        Named in errors.
    ids : collection of str
        Columns of ids.
    leave_out : collection of str
        Columns that are not read.
    mapping : InputMapping, optional
        Its columns get the names of their fields.

    Returns
    -------
        Ids are String, by the log's rules. Numbers that came as text, some of them perhaps
        `MISSING_WORDS`, are Float64, truth values Boolean. Other columns keep their type; nested
        values are Objects.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, damaged or of an unknown format.
    InvalidInputError
        If a row cannot be read, an id is none, or a column of numbers holds another word; the
        error names the file and the row.

    Examples
    --------
    >>> rows = [{"feature_id": 7, "price": 1}, {"feature_id": "007", "price": "NA", "new": True}]
    >>> read_table(rows, "features", ids=["feature_id"]).frame.rows()
    [('7', 1.0, None), ('007', None, True)]
    """
    fields = {} if mapping is None else {raw: name for name, raw in mapping.columns.items()}
    raw_ids = {raw for raw, name in fields.items() if name in ids}.union(ids)
    sources = open_sources(source, parameter)
    parts = [
        _renamed(part, fields)
        for each in sources
        for part in _parts_of(each, parameter, raw_ids, leave_out)
    ]
    names = dict.fromkeys(name for part in parts for name in part.frame.columns)
    columns = {name: _column(name, parts, parameter) for name in names}
    left_out = {
        name: f"{parameter}: it has no name, or numbers the rows"
        for name, column in columns.items()
        if _is_numbering(name, column)
    }
    folders = [each.shared for each in sources if isinstance(each, PartitionedSource)]
    for name in {name for shared in folders for name in shared} - {*columns, *leave_out}:
        left_out[name] = f"{parameter}: only folders name it; write it into the files to use it"
    return Table(pl.DataFrame([columns[n] for n in columns if n not in left_out]), left_out)


def _renamed(part: _Part, fields: Mapping[str, str]) -> _Part:
    names = {raw: name for raw, name in fields.items() if raw in part.frame.columns}
    taken = [name for raw, name in names.items() if name in part.frame.columns and name != raw]
    words = [names.get(name, name) for name in part.words]
    return part._replace(frame=part.frame.drop(taken).rename(names), words=words)


def _is_numbering(name: str, column: pl.Series) -> bool:
    """Return whether a column is the row index that pandas writes."""
    if _INDEX.fullmatch(name):
        return True
    if name not in _INDEX_NAMES or not column.dtype.is_numeric() or not len(column):
        return False
    # Rows may have been sorted or filtered since they were numbered.
    return bool((column == column.floor()).all()) and column.is_unique().all()


def _parts_of(
    source: Source, parameter: str, ids: Collection[str], leave_out: Collection[str]
) -> Iterator[_Part]:
    if isinstance(source, PartitionedSource):
        shared = [pl.lit(v).alias(n) for n, v in source.shared.items() if n in ids]
        for part in _parts_of(source.source, parameter, ids, leave_out):
            absent = [each for each in shared if each.meta.output_name() not in part.frame.columns]
            yield part._replace(frame=part.frame.with_columns(absent))
        return
    if isinstance(source, JsonLinesSource | RecordsSource):
        for values in source.values():
            _check_refused(source, values.refused, parameter)
            yield _part_of_values(source, values, parameter, ids, leave_out)
        return
    names = [n for n in source.schema or () if n not in leave_out]
    words = [name for name in names if source.text and name not in ids]
    schema = {name: dtype for name, dtype in (source.schema or {}).items() if name in names}
    for block in chain(
        [Block(pl.DataFrame(schema=schema), 0)], source.blocks({name: name for name in names})
    ):
        _check_refused(source, block.refused, parameter)
        part = _Part(source, block.numbers, block.frame, words)
        yield part._replace(frame=_with_ids(part, parameter, ids))


def _check_refused(source: Source, refused: pl.DataFrame | None, parameter: str) -> None:
    if refused is not None:
        row, *fault = refused.sort("row").row(0)
        raise _error(parameter, source, row, Fault(*fault))


def _error(parameter: str, source: Source, row: int, fault: Fault) -> InvalidInputError:
    return InvalidInputError(f"{parameter}: {source.name}, {source.unit} {row}: {fault}")


def _part_of_values(
    source: Source,
    values: Values,
    parameter: str,
    ids: Collection[str],
    leave_out: Collection[str],
) -> _Part:
    keys = []
    for name in ids:
        if any(name in row for row in values.rows):
            texts = _id_texts(name, values, source, parameter)
            keys.append(pl.Series(name, texts, pl.String))
    others = {*ids, *leave_out}
    rows = [{key: row[key] for key in row if key not in others} for row in values.rows]
    frame, mixed = value_columns(rows)
    return _Part(source, values.numbers, pl.DataFrame([*keys, *frame]), mixed)


def _id_texts(name: str, values: Values, source: Source, parameter: str) -> Iterable[str | None]:
    for row, number in zip(values.rows, values.numbers, strict=True):
        try:
            yield id_text(name, row.get(name))
        except FaultError as error:
            raise _error(parameter, source, int(number), error.fault) from None


def _with_ids(part: _Part, parameter: str, ids: Collection[str]) -> pl.DataFrame:
    """Return a block with its ids as text; raise for the first that breaks a rule."""
    source, frame = part.source, part.frame
    for name in [name for name in frame.columns if name in ids]:
        made = id_column(Raw(name, frame.schema[name], source.text, source.name))
        given = frame.select(pl.col(name).alias(raw_name(name)))
        prepared = given.with_columns(value.alias(key) for key, value in made.prepare.items())
        for rule in made.rules:
            bad = prepared.select(rule.bad.fill_null(value=False)).to_series().arg_true()
            if len(bad):
                value = prepared.select(rule.value.cast(pl.String)).item(bad[0], 0)
                fault = Fault(name, value, str(rule.reason))
                raise _error(parameter, source, _number(part, bad[0]), fault)
        frame = frame.with_columns(
            prepared.select(pl.when(~made.value.is_in(ABSENT_IDS)).then(made.value).alias(name))
        )
    return frame


def _number(part: _Part, row: int) -> int:
    return part.numbers + row if isinstance(part.numbers, int) else int(part.numbers[row])


def _column(name: str, parts: list[_Part], parameter: str) -> pl.Series:
    """Return one column of all parts, null where a part lacks it."""
    columns = [
        part.frame[name]
        if name in part.frame.columns
        else pl.repeat(None, part.frame.height, dtype=pl.Null, eager=True).alias(name)
        for part in parts
    ]
    types = {column.dtype for column in columns} - {pl.Null()}
    numeric = {dtype for dtype in types if dtype.is_numeric() or dtype == pl.Boolean()}
    text = {dtype for dtype in types if isinstance(dtype, pl.String | pl.Categorical | pl.Enum)}
    if any(name in part.words for part in parts) or (text and numeric):
        words = [column.cast(pl.String).str.strip_chars() for column in columns]
        return _numbers(pl.concat(words), parts, parameter)
    if len(types) > 1:
        if types not in (numeric, text):
            msg = f"{parameter}: column {name!r} has several types: {', '.join(map(str, types))}"
            raise InvalidInputError(msg)
        types = {pl.Float64()} if numeric else {pl.String()}
    return pl.concat([column.cast(dtype) for column in columns for dtype in types or {pl.Null()}])


def _numbers(texts: pl.Series, parts: list[_Part], parameter: str) -> pl.Series:
    """Return words as numbers if most are; text where none is; raise where some are not."""
    given = texts.set(texts.is_in(MISSING_WORDS), None)
    truths = given.replace_strict(_TRUTHS, default=None, return_dtype=pl.Float64)
    if 0 < len(truths) - truths.null_count() == len(given) - given.null_count():
        return truths.cast(pl.Boolean)
    numbers = given.cast(pl.Float64, strict=False).fill_nan(None)
    numbers = numbers.zip_with(numbers.is_not_null(), truths)
    strange = (given.is_not_null() & numbers.is_null()).arg_true()
    if not len(strange):
        return numbers
    found = len(numbers) - numbers.null_count()
    if found <= len(strange):
        return texts.set(texts == "", None)
    part, row = _part_of_row(parts, strange[0])
    reason = (
        f"not a number, while {found:,} of {found + len(strange):,} are. Leave missing numbers "
        "empty; give categories as text throughout"
    )
    fault = Fault(texts.name, texts[strange[0]], reason)
    raise _error(parameter, part.source, _number(part, row), fault)


def _part_of_row(parts: list[_Part], row: int) -> tuple[_Part, int]:
    for part in parts:
        if row < part.frame.height:
            return part, row
        row -= part.frame.height
    raise IndexError(row)
