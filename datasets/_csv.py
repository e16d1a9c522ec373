"""CSV: blocks of whole records go to the engine; odd quoting goes to the csv module, row by row."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..errors import InvalidInputError
from . import _reasons as reasons
from ._json_line import Fault, text_of
from ._jsonl import refused
from ._sources import Block
from ._text import BLOCK_BYTES, check_text, line_blocks, open_text, text_errors
from .interaction import MAX_LINE_BYTES, TIME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._text import Bytes

_SLOW_ROWS: Final = 50_000
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


class CsvSource:
    """A CSV or TSV file with a header line, possibly compressed."""

    unit = "line"
    text = True
    rows: int | None = None

    def __init__(self, path: Path, separator: str) -> None:
        check_text(path)
        self.name = str(path)
        self._path, self._separator = path, separator
        with text_errors(self.name), open_text(path) as file:
            self._header = _header(file, separator, self.name)
        # Without a header there are no rows and nothing to be missing.
        self.schema: Mapping[str, pl.DataType] | None = (
            dict.fromkeys(self._header, pl.String()) if self._header else None
        )

    def has_times(self) -> bool:
        """Return whether any row has a time."""
        held = [name for name in TIME_COLUMNS if name in self._header]
        if not held:
            return False
        return any(_any_text(block.frame) for block in self.blocks(held))

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield blocks of about 16 MB of text."""
        if not self._header:
            return
        reader = _Reader(self._header, self._separator, list(columns))
        with text_errors(self.name), open_text(self._path) as file:
            yield from reader.blocks(file)


def _any_text(frame: pl.DataFrame) -> bool:
    return bool(frame.select(pl.any_horizontal(pl.all().is_not_null()).any()).item())


def _header(file: Bytes, separator: str, name: str) -> list[str]:
    lines = chain.from_iterable(_text_lines(file, 65_536))
    with _long_fields():
        try:
            header = next((row for row in csv.reader(lines, delimiter=separator) if row), [])
        except csv.Error as error:
            msg = f"{name}: the header line cannot be read: {error}"
            raise InvalidInputError(msg) from error
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        msg = f"{name}: the header names {', '.join(map(repr, twice))} more than once"
        raise InvalidInputError(msg)
    return header


@dataclass(frozen=True)
class _Reader:
    header: list[str]
    separator: str
    columns: list[str]

    def blocks(self, file: Bytes) -> Iterator[Block]:
        """Yield blocks by the engine; from the first odd quote on by the csv module."""
        carry, line, headed = b"", 1, False
        while True:
            chunk = file.read(BLOCK_BYTES)
            data = carry + (chunk if headed or carry else chunk.removeprefix(b"\xef\xbb\xbf"))
            if not data:
                return
            records = _Records(data, ord(self.separator), last=not chunk)
            if not records.regular or len(data) - records.end > MAX_LINE_BYTES:
                yield from self._slowly(_Rest(data, file), line, headed=headed)
                return
            if records.end:
                yield self._block(records, line, headed=headed)
                headed = headed or bool(len(records.rows))
                line += data.count(b"\n", 0, records.end)
            carry = data[records.end :]
            if not chunk:
                return

    def _block(self, records: _Records, line: int, *, headed: bool) -> Block:
        rows = records.rows if headed else records.rows[1:]
        fields = records.fields[rows]
        good = (fields == len(self.header)) & (records.lengths[rows] <= MAX_LINE_BYTES)
        faults = [(row, self._fault(records, row)) for row in rows[~good]]
        rows = rows[good]
        frame = self._engine(records.joined(rows))
        if frame is None or frame.height != len(rows):
            frame, rows, more = self._sifted(records, rows)
            faults += more
        faults.sort()
        starts = records.lines(np.array([row for row, _ in faults], dtype=np.int64)) + line
        numbers = [(int(n), fault) for n, (_, fault) in zip(starts, faults, strict=True)]
        return Block(frame, records.lines(rows) + line, refused(numbers))

    def _fault(self, records: _Records, row: int) -> Fault:
        long = records.lengths[row] > MAX_LINE_BYTES
        return Fault(
            "",
            text_of(records[row]),
            reasons.TOO_LONG_LINE if long else reasons.FIELD_COUNT,
        )

    def _sifted(
        self,
        records: _Records,
        rows: NDArray[np.int64],
    ) -> tuple[pl.DataFrame, NDArray[np.int64], list[tuple[int, Fault]]]:
        """Return what the engine takes of a block that it refused as a whole, by halving."""
        frames, taken, faults = [self._empty()], [rows[:0]], []
        pending = [rows] if len(rows) else []
        while pending:
            some = pending.pop()
            frame = self._engine(records.joined(some))
            if frame is not None and frame.height == len(some):
                frames.append(frame)
                taken.append(some)
            elif len(some) == 1:
                reason = reasons.NOT_CSV if _is_utf8(records[some[0]]) else reasons.NOT_UTF8
                faults.append((some[0], Fault("", text_of(records[some[0]]), reason)))
            else:
                pending += [some[len(some) // 2 :], some[: len(some) // 2]]
        return pl.concat(frames), np.concatenate(taken), faults

    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema=dict.fromkeys(self.columns, pl.String()))

    def _engine(self, data: bytes) -> pl.DataFrame | None:
        if not data:
            return self._empty()
        names = [f"column_{index + 1}" for index in range(len(self.header))]
        read = {names[self.header.index(name)]: name for name in self.columns}
        try:
            frame = pl.read_csv(
                data,
                has_header=False,
                schema=dict.fromkeys(names, pl.String()),
                infer_schema=False,
                null_values=[""],
                separator=self.separator,
                columns=list(read),
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        return frame.rename(read).select(self.columns)

    def _slowly(self, file: Bytes, line: int, *, headed: bool) -> Iterator[Block]:
        rows = _rows(chain.from_iterable(_text_lines(file, BLOCK_BYTES)), self.separator)
        if not headed:
            next(rows, None)
        while some := list(islice(rows, _SLOW_ROWS)):
            yield self._slow_block(some, line - 1)

    def _slow_block(self, rows: list[tuple[int, list[str] | str]], before: int) -> Block:
        good, numbers, faults = [], [], []
        places = [self.header.index(name) for name in self.columns]
        for number, row in rows:
            fault = _row_fault(row, len(self.header))
            if fault is not None:
                faults.append((number + before, fault))
            else:
                good.append([row[place] or None for place in places])
                numbers.append(number + before)
        schema = dict.fromkeys(self.columns, pl.String())
        frame = pl.DataFrame(good, schema=schema, orient="row")
        return Block(frame, np.array(numbers, dtype=np.int64), refused(faults))


class _Records:
    """The records of a block: where they end outside of quotes, and how many fields they have."""

    def __init__(self, data: bytes, separator: int, *, last: bool) -> None:
        self._data = data
        held = np.frombuffer(data, dtype=np.uint8)
        quotes = np.flatnonzero(held == _QUOTE)
        self.regular = _regular(held, quotes, separator, last=last)
        self._newlines = np.flatnonzero(held == _NEWLINE)
        ends = _outside(self._newlines, quotes)
        if last and (not len(ends) or ends[-1] + 1 < len(data)):
            ends = np.append(ends, len(data))
        self._ends = ends
        self._starts = np.append(0, ends[:-1] + 1)[: len(ends)]
        self.end = min(int(ends[-1]) + 1, len(data)) if len(ends) else 0
        between = _outside(np.flatnonzero(held == separator), quotes)
        self.fields = 1 + np.searchsorted(between, ends) - np.searchsorted(between, self._starts)
        self.lengths = ends - self._starts
        blank = [i for i in np.flatnonzero(self.lengths <= 1) if not self[i].strip(b"\r")]
        self.rows: NDArray[np.int64] = np.delete(np.arange(len(ends)), blank)

    def __getitem__(self, index: int | np.integer[Any]) -> bytes:
        return self._data[self._starts[index] : self._ends[index]]

    def joined(self, rows: NDArray[np.int64]) -> bytes:
        """Return some records as one text."""
        if len(rows) and len(rows) == rows[-1] - rows[0] + 1:
            return self._data[int(self._starts[rows[0]]) : int(self._ends[rows[-1]])]
        return b"\n".join(self[row] for row in rows)

    def lines(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the lines, from 0, on which records start."""
        found: NDArray[np.int64] = np.searchsorted(self._newlines, self._starts[rows])
        return found


class _Rest:
    """Bytes already read, then the rest of the file."""

    def __init__(self, data: bytes, file: Bytes) -> None:
        self._data, self._file = data, file

    def read(self, size: int, /) -> bytes:
        data, self._data = self._data, b""
        return data or self._file.read(size)


def _outside(places: NDArray[np.int64], quotes: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(quotes):
        return places
    outside: NDArray[np.int64] = places[np.searchsorted(quotes, places) % 2 == 0]
    return outside


def _regular(
    held: NDArray[np.uint8],
    quotes: NDArray[np.int64],
    separator: int,
    *,
    last: bool,
) -> bool:
    """Return whether every quote opens, closes or doubles where it may."""
    edges = [separator, _NEWLINE, _RETURN, _QUOTE]
    opening, closing = quotes[0::2], quotes[1::2]
    before = held[opening[opening > 0] - 1]
    after = held[closing[closing < len(held) - 1] + 1]
    closed = len(quotes) % 2 == 0 or not last
    return closed and bool(np.isin(before, edges).all() and np.isin(after, edges).all())


def _text_lines(file: Bytes, size: int) -> Iterator[Iterator[str]]:
    for lines in line_blocks(file, MAX_LINE_BYTES, size):
        if lines.cut:
            # Too long to be held; a field beyond the limit makes the reader refuse the row.
            yield iter(["x" * (MAX_LINE_BYTES + 1)])
        else:
            # Bytes that are no UTF-8 become lone surrogates, by which `_row_fault` knows them.
            yield iter(io.StringIO(lines.data.decode("utf-8", "surrogateescape"), newline="\n"))


def _rows(lines: Iterator[str], separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield every row, or why it is none, with the line (from 1) on which it starts."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            with _long_fields():
                row = next(reader, None)
        except csv.Error as error:
            yield start, str(error)
            continue
        if row is None:
            return
        if row:
            yield start, row


@contextmanager
def _long_fields() -> Iterator[None]:
    # The csv module's limit belongs to the whole process, so it is put back at once.
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _row_fault(row: list[str] | str, fields: int) -> Fault | None:
    if isinstance(row, str):
        return Fault("", None, f"{reasons.NOT_CSV}: {row}")
    if len(row) != fields:
        return Fault("", text_of(",".join(row)), reasons.FIELD_COUNT)
    if any(not field.isascii() and not _is_utf8(field) for field in row):
        return Fault("", text_of(",".join(row)), reasons.NOT_UTF8)
    return None


def _is_utf8(text: str | bytes) -> bool:
    try:
        text.encode("utf-8") if isinstance(text, str) else text.decode("utf-8")
    except UnicodeError:
        return False
    return True
