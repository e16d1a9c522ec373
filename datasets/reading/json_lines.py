"""JSON lines: polars parses blocks of lines; a block that it refuses is checked line by line.

What becomes of a line never depends on its neighbours: lines that polars takes although the check
of single lines refuses them are looked for in all blocks.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import polars as pl

from ..record import fault as reasons
from ..record.fault import Fault, FaultError, shorten
from ..record.ids import id_text
from ..record.interaction import ID_COLUMNS, MAX_DEPTH, MAX_LINE_BYTES
from ..record.json_line import line_fault
from .json_stream import is_json_stream, json_values, repaired
from .quarantine import fault_frame
from .source import Block, Values
from .text_blocks import check_text, line_blocks, open_text, text_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from .file_path import FilePath
    from .text_blocks import Lines

# Numbers are read as floats, so that 3.0 is a position and the rules judge 3.5 or 1e12.
_NUMBERS: Final = ("position", "result_set_size", "document_score")
_BLANK: Final = b" \t\r\n"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# What polars makes of true, {}, [], 1.5 and NUL where text is requested.
_ODD_ID: Final = r"(?s)^(?:true|false|[\[{].*|-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)$"
_CONTROL: Final = r"[\x00-\x1f]"
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def json_schema(columns: Mapping[str, str]) -> dict[str, pl.DataType]:
    """Return the types with which polars reads the given keys, by the fields that they hold."""
    return {
        key: pl.Float64() if field in _NUMBERS else pl.String() for key, field in columns.items()
    }


class JsonLinesSource:
    """A file of JSON objects, one a line or in another way, possibly compressed."""

    text = False
    rows: int | None = None
    schema: Mapping[str, pl.DataType] | None = None

    def __init__(self, path: FilePath) -> None:
        check_text(path)
        self.name = str(path)
        self._path = path
        with text_errors(self.name), open_text(path) as file:
            self._is_stream = is_json_stream(file)
        self.unit = "object" if self._is_stream else "line"

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any line has a value in any of the columns."""
        return any(has_values(lines, columns) for lines in self._lines())

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield blocks of about 16 MB of text."""
        for lines in self._lines():
            yield read_lines(lines, columns)

    def values(self) -> Iterator[Values]:
        """Yield all lines with all their keys, block by block."""
        for lines in self._lines():
            texts, faults = _single_lines(lines, {})
            rows, numbers = [], []
            for index in range(len(texts)):
                number = int(texts.line(index)) + lines.first
                try:
                    rows.append(_decode(texts[index]))
                    numbers.append(number)
                except (ValueError, RecursionError):
                    fault = Fault("", shorten(texts[index]), reasons.NUMBER_RANGE)
                    faults.append((number, fault))
            yield Values(rows, np.array(numbers, dtype=np.int64), fault_frame(faults))

    def _lines(self) -> Iterator[Lines]:
        with text_errors(self.name), open_text(self._path) as file:
            if self._is_stream:
                yield from json_values(file, MAX_LINE_BYTES, self.name)
            else:
                yield from line_blocks(file, MAX_LINE_BYTES)


def has_values(lines: Lines, columns: Mapping[str, str]) -> bool:
    """Return whether any of the lines has a value in any of the columns."""
    if not any(f'"{key}"'.encode() in lines.data for key in columns):
        return False
    frame = read_lines(lines, columns).frame
    return any(bool((frame[key].cast(pl.String) != "").any()) for key in columns)


def read_lines(lines: Lines, columns: Mapping[str, str]) -> Block:
    """Return the rows of a block of lines and the faults of those that are none."""
    schema = json_schema(columns)
    if lines.cut or not lines.data:
        numbers = np.empty(0, np.int64)
        return Block(pl.DataFrame(schema=schema), numbers, fault_frame(_cut(lines)))
    block = _Texts(lines.data)
    suspects = _line_faults(block, block.suspects(), columns)
    rows = np.setdiff1d(block.rows, np.fromiter(suspects, np.int64), assume_unique=True)
    frame = _parsed(block.joined(rows) if suspects else lines.data, schema) if len(rows) else None
    faults = [(index + lines.first, fault) for index, fault in suspects.items()]
    texts: _Texts | _Parts = block
    if frame is None or frame.height != len(rows):
        parts, faults = _single_lines(lines, columns)
        frame, rows, bad = _split_by_fault(parts, schema)
        texts = parts
        faults += [(int(texts.line(i)) + lines.first, fault) for i, fault in bad.items()]
    frame, rows, bad = _recheck_odd_lines(frame, texts, rows, columns)
    faults += [(int(texts.line(i)) + lines.first, fault) for i, fault in bad.items()]
    faults.sort(key=itemgetter(0))
    return Block(frame, texts.line(rows) + lines.first, fault_frame(faults))


def _cut(lines: Lines) -> list[tuple[int, Fault]]:
    fault = Fault("", shorten(lines.data), reasons.TOO_LONG_LINE)
    return [(lines.first, fault)] if lines.cut else []


def _single_lines(
    lines: Lines, columns: Mapping[str, str]
) -> tuple[_Parts, list[tuple[int, Fault]]]:
    """Check a block line by line; a line of several objects becomes several."""
    parts, places, faults = [], [], _cut(lines)
    for place, line in enumerate([] if lines.cut else lines.data.split(b"\n")):
        if not line.strip(_BLANK):
            continue
        fault = line_fault(line, columns)
        pieces = [line] if fault is None else repaired(line)
        checked = [(piece, fault and line_fault(piece, columns)) for piece in pieces]
        for piece, bad in checked or [(line, fault)]:
            if bad is None:
                parts.append(piece)
                places.append(place)
            else:
                faults.append((place + lines.first, bad))
    return _Parts(parts, np.array(places, dtype=np.int64)), faults


class _Parts:
    """Lines that can be read, with their places in the block."""

    def __init__(self, parts: list[bytes], places: NDArray[np.int64]) -> None:
        self._parts, self._places = parts, places

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, index: int | np.integer[Any]) -> bytes:
        return self._parts[index]

    def joined(self, rows: NDArray[np.int64]) -> bytes:
        """Return some lines as one text."""
        return b"\n".join(self._parts[i] for i in rows)

    def line(self, rows: NDArray[np.int64] | int) -> Any:
        """Return the place of lines in the block, from 0."""
        return self._places[rows]


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

    def line(self, rows: NDArray[np.int64] | int) -> Any:
        """Return the place of lines in the block, from 0."""
        return rows

    def suspects(self) -> NDArray[np.int64]:
        """Return lines that polars might take although they are bad: deep, long, surrogates."""
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


def _parsed(data: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    try:
        return pl.read_ndjson(data, schema=schema)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None


def _split_by_fault(
    texts: _Parts, schema: Mapping[str, pl.DataType]
) -> tuple[pl.DataFrame, NDArray[np.int64], dict[int, Fault]]:
    """Parse lines that seem good, by halving what polars refuses as a whole."""
    frames, taken, faults = [pl.DataFrame(schema=schema)], [np.empty(0, np.int64)], {}
    pending = [np.arange(len(texts))] if len(texts) else []
    while pending:
        some = pending.pop()
        frame = _parsed(texts.joined(some), schema)
        if frame is not None and frame.height == len(some):
            frames.append(frame)
            taken.append(some)
        elif len(some) == 1:
            faults[int(some[0])] = Fault("", shorten(texts[some[0]]), reasons.NOT_JSON)
        else:
            pending += [some[len(some) // 2 :], some[: len(some) // 2]]
    return pl.concat(frames), np.concatenate(taken), faults


def _line_faults(
    texts: _Texts, rows: NDArray[np.int64], columns: Mapping[str, str]
) -> dict[int, Fault]:
    found = ((int(i), line_fault(texts[int(i)], columns)) for i in rows)
    return {index: fault for index, fault in found if fault is not None}


def _recheck_odd_lines(
    frame: pl.DataFrame, texts: _Texts | _Parts, rows: NDArray[np.int64], columns: Mapping[str, str]
) -> tuple[pl.DataFrame, NDArray[np.int64], dict[int, Fault]]:
    """Refuse ids that were no text, and encode JSON text with raw control characters anew."""
    ids = [key for key, field in columns.items() if field in {*ID_COLUMNS, "document_id"}]
    odd = frame.select(
        pl.any_horizontal(pl.col(ids).str.contains(_ODD_ID)).fill_null(value=False).alias("odd"),
    )["odd"].arg_true()
    checked = ((int(rows[i]), _id_fault(texts[int(rows[i])], ids, columns)) for i in odd)
    faults = {index: fault for index, fault in checked if fault is not None}
    for key, field in columns.items():
        if field in {"metadata", "query_snapshot"}:
            frame = frame.with_columns(_escaped(frame[key], texts, rows))
    if not faults:
        return frame, rows, faults
    good = ~np.isin(rows, np.fromiter(faults, np.int64))
    return frame.filter(pl.Series(good)), rows[good], faults


def _id_fault(line: bytes, ids: Sequence[str], columns: Mapping[str, str]) -> Fault | None:
    fault = line_fault(line, columns)
    if fault is not None:
        return fault
    values: dict[str, Any] = msgspec.json.decode(line)
    try:
        for key in ids:
            id_text(columns[key], values.get(key))
    except FaultError as error:
        return error.fault
    return None


def _escaped(values: pl.Series, texts: _Texts | _Parts, rows: NDArray[np.int64]) -> pl.Series:
    broken = values.str.contains(r"^[\[{]") & values.str.contains(_CONTROL)
    where = broken.fill_null(value=False).arg_true()
    if not len(where):
        return values
    fields = (msgspec.json.decode(texts[int(rows[i])]).get(values.name) for i in where)
    encoded = [v if isinstance(v, str) else msgspec.json.encode(v).decode() for v in fields]
    return values.scatter(where, encoded)
