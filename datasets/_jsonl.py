"""JSON lines: blocks go to the engine; a block that it refuses is sifted line by line.

A line's fate never depends on its neighbours: whatever the line-by-line check refuses and the
engine would take is looked for in accepted blocks, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import polars as pl

from ..errors import UnreadableSourceError
from . import _reasons as reasons
from ._json_line import Fault, line_fault, text_of
from ._quarantine import FAULT_SCHEMA
from ._sources import Block
from ._text import check_text, line_blocks, open_text, text_errors
from .interaction import ID_COLUMNS, MAX_DEPTH, MAX_LINE_BYTES, TIME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._text import Lines

# Numbers are read as floats, so that 3.0 is a position and the rules judge 3.5 or 1e12.
_NUMBERS: Final = ("position", "result_set_size", "document_score")
_BLANK: Final = b" \t\r\n"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# What the engine makes of true, {}, [], 1.5 and NUL where text is asked for.
_ODD_ID: Final = r"(?s)^(?:true|false|[\[{].*|-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)$"
_CONTROL: Final = r"[\x00-\x1f]"


def json_schema(columns: Iterable[str]) -> dict[str, pl.DataType]:
    """Return the types with which the engine reads the given columns."""
    types = dict.fromkeys(_NUMBERS, pl.Float64()) | {"interaction_type": pl.List(pl.String())}
    return {name: types.get(name, pl.String()) for name in columns}


class JsonLinesSource:
    """A file of JSON lines, possibly compressed."""

    unit = "line"
    text = False
    rows: int | None = None
    schema: Mapping[str, pl.DataType] | None = None

    def __init__(self, path: Path) -> None:
        check_text(path)
        _check_no_array(path)
        self.name = str(path)
        self._path = path

    def has_times(self) -> bool:
        """Return whether any line has a time; stops at the first block that tells."""
        return any(has_times(lines) for lines in self._lines())

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield blocks of about 16 MB of text."""
        schema = json_schema(columns)
        for lines in self._lines():
            yield read_lines(lines, schema)

    def _lines(self) -> Iterator[Lines]:
        with text_errors(self.name), open_text(self._path) as file:
            yield from line_blocks(file, MAX_LINE_BYTES)


def _check_no_array(path: Path) -> None:
    """Refuse a .json file that is one array; its lines would all be bad, saying nothing."""
    if ".json" not in path.suffixes:
        return
    with text_errors(str(path)), open_text(path) as file:
        start = file.read(4_096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        msg = f"{path}: one JSON array; write one object a line, for instance with jq -c '.[]'"
        raise UnreadableSourceError(msg)


def read_lines(lines: Lines, schema: Mapping[str, pl.DataType]) -> Block:
    """Return the rows of a block of lines and the faults of those that are none."""
    if lines.cut:
        fault = Fault("", text_of(lines.data), reasons.TOO_LONG_LINE)
        return Block(pl.DataFrame(schema=schema), lines.first, refused([(lines.first, fault)]))
    texts = _Texts(lines.data)
    faults = _line_faults(texts, texts.suspects(), schema)
    rows = np.setdiff1d(texts.rows, np.fromiter(faults, np.int64), assume_unique=True)
    frame = _engine(texts.joined(rows) if faults else lines.data, schema) if len(rows) else None
    if frame is None or frame.height != len(rows):
        frame, rows, more = _sifted(texts, rows, schema)
        faults |= more
    frame, rows, more = _second_look(frame, texts, rows)
    faults |= more
    bad = refused([(lines.first + i, fault) for i, fault in sorted(faults.items())])
    return Block(frame, rows + lines.first, bad)


class _Texts:
    """The lines of a block, by index, without a Python object for each."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(self._bytes == ord("\n"))
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        self._ends = ends
        self._starts = np.append(0, ends[:-1] + 1)
        self.rows: NDArray[np.int64] = self._filled()

    def __getitem__(self, index: int | np.integer[Any]) -> bytes:
        return self._data[self._starts[index] : self._ends[index]]

    def joined(self, rows: NDArray[np.int64]) -> bytes:
        """Return some lines as one text."""
        return b"\n".join(self[i] for i in rows)

    def suspects(self) -> NDArray[np.int64]:
        """Return lines that the engine might take although they are bad: deep, long, surrogates."""
        # '[' and '{' differ in one bit.
        opening = np.flatnonzero((self._bytes | 0x20) == ord("{"))
        openings = np.searchsorted(opening, self._ends) - np.searchsorted(opening, self._starts)
        found = (openings > MAX_DEPTH) | (self._ends - self._starts > MAX_LINE_BYTES)
        places = [match.start() for match in _SURROGATE.finditer(self._data)]
        found[np.searchsorted(self._ends, places)] = True
        return np.intersect1d(np.flatnonzero(found), self.rows)

    def _filled(self) -> NDArray[np.int64]:
        """Return the lines that are not blank."""
        # Only an empty line, or one that begins with white space, may be blank.
        first = self._bytes[np.minimum(self._starts, len(self._bytes) - 1)]
        some = np.flatnonzero((self._ends == self._starts) | np.isin(first, list(_BLANK)))
        blank = [i for i in some if not self[i].strip(_BLANK)]
        return np.delete(np.arange(len(self._ends)), blank)


def _engine(data: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(data, schema=schema)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _sifted(
    texts: _Texts,
    rows: NDArray[np.int64],
    schema: Mapping[str, pl.DataType],
) -> tuple[pl.DataFrame, NDArray[np.int64], dict[int, Fault]]:
    faults = _line_faults(texts, rows, schema)
    rows = np.array([i for i in rows if i not in faults], dtype=np.int64)
    frames, taken = [pl.DataFrame(schema=schema)], [rows[:0]]
    pending = [rows] if len(rows) else []
    while pending:
        some = pending.pop()
        frame = _engine(texts.joined(some), schema)
        if frame is not None and frame.height == len(some):
            frames.append(frame)
            taken.append(some)
        elif len(some) == 1:
            faults[int(some[0])] = Fault("", text_of(texts[some[0]]), reasons.NOT_JSON)
        else:
            pending += [some[len(some) // 2 :], some[: len(some) // 2]]
    return pl.concat(frames), np.concatenate(taken), faults


def _line_faults(
    texts: _Texts, rows: NDArray[np.int64], columns: Iterable[str]
) -> dict[int, Fault]:
    found = ((int(i), line_fault(texts[int(i)], columns)) for i in rows)
    return {index: fault for index, fault in found if fault is not None}


def _second_look(
    frame: pl.DataFrame,
    texts: _Texts,
    rows: NDArray[np.int64],
) -> tuple[pl.DataFrame, NDArray[np.int64], dict[int, Fault]]:
    """Refuse ids that were no text, and mend JSON text with raw control characters."""
    ids = [name for name in frame.columns if name in {*ID_COLUMNS, "document_id"}]
    odd = frame.select(
        pl.any_horizontal(pl.col(ids).str.contains(_ODD_ID)).fill_null(value=False).alias("odd"),
    )["odd"].arg_true()
    checked = ((int(rows[i]), _id_fault(texts[int(rows[i])], ids, frame.columns)) for i in odd)
    faults = {index: fault for index, fault in checked if fault is not None}
    for name in ("metadata", "query_snapshot"):
        if name in frame.columns:
            frame = frame.with_columns(_mended(frame[name], texts, rows))
    if not faults:
        return frame, rows, faults
    kept = ~np.isin(rows, np.fromiter(faults, np.int64))
    return frame.filter(pl.Series(kept)), rows[kept], faults


def _id_fault(line: bytes, ids: Sequence[str], columns: Sequence[str]) -> Fault | None:
    fault = line_fault(line, columns)
    if fault is not None:
        return fault
    values: dict[str, Any] = msgspec.json.decode(line)
    for name in ids:
        value = values.get(name)
        if isinstance(value, bool | float) and not (
            isinstance(value, float) and value.is_integer()
        ):
            return Fault(name, text_of(value), reasons.NOT_TEXT)
    return None


def _mended(values: pl.Series, texts: _Texts, rows: NDArray[np.int64]) -> pl.Series:
    broken = values.str.contains(r"^[\[{]") & values.str.contains(_CONTROL)
    where = broken.fill_null(value=False).arg_true()
    if not len(where):
        return values
    fields = (msgspec.json.decode(texts[int(rows[i])]).get(values.name) for i in where)
    mended = [v if isinstance(v, str) else msgspec.json.encode(v).decode() for v in fields]
    return values.scatter(where, mended)


def has_times(lines: Lines) -> bool:
    if not any(b'"' + name.encode() + b'"' in lines.data for name in TIME_COLUMNS):
        return False
    frame = read_lines(lines, json_schema(TIME_COLUMNS)).frame
    return any(bool((frame[name] != "").any()) for name in TIME_COLUMNS)


def refused(faults: Sequence[tuple[int, Fault]]) -> pl.DataFrame | None:
    rows = [(line, fault.field, fault.value, fault.reason) for line, fault in faults]
    return pl.DataFrame(rows, schema=FAULT_SCHEMA, orient="row") if rows else None
