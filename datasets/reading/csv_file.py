"""CSV and TSV files as sources of raw rows: all columns are text, rows are known by their line.

The header shows which of comma, semicolon, tab and vertical bar separates the fields, and whether
a space follows it.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..record import fault as reasons
from ..record.fault import Fault, shorten
from ..record.interaction import MAX_LINE_BYTES
from .quarantine import fault_frame
from .source import Block
from .text_blocks import check_text, line_blocks, open_text, text_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .file_path import FilePath
    from .text_blocks import Bytes, Lines

_BLOCK_ROWS: Final = 50_000
_SEPARATORS: Final = ",;\t|"
_QUOTED: Final = re.compile(r'"[^"]*"')
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*')
_Row: TypeAlias = tuple[int, list[str] | str]
"""The line on which a row starts, and its fields, or why it cannot be read."""


class _Layout(NamedTuple):
    """How the fields of a file are separated, the rows up to the header, and its names."""

    separator: str
    spaced: bool
    rows: int
    header: list[str]


class CsvSource:
    """A CSV or TSV file with a header line, possibly compressed."""

    unit = "line"
    text = True
    rows: int | None = None

    def __init__(self, path: FilePath, separator: str) -> None:
        check_text(path)
        self.name = str(path)
        self._path = path
        with text_errors(self.name), open_text(path) as file:
            self._layout = _layout(file, separator, self.name)
        self._header = self._layout.header
        # Without a header there are no rows and nothing to be missing.
        self.schema: Mapping[str, pl.DataType] | None = (
            dict.fromkeys(self._header, pl.String()) if self._header else None
        )

    def has_values(self, columns: Mapping[str, str]) -> bool:
        """Return whether any row has a value in any of the columns."""
        return any(_any_text(block.frame) for block in self.blocks(columns) if columns)

    def blocks(self, columns: Mapping[str, str]) -> Iterator[Block]:
        """Yield blocks of 50,000 rows."""
        if not self._header:
            return
        with text_errors(self.name), open_text(self._path) as file:
            reader = _reader(_lines(file), self._layout.separator, spaced=self._layout.spaced)
            _next_rows(reader, self._layout.rows)
            while rows := _next_rows(reader, _BLOCK_ROWS):
                yield self._block(rows, columns)

    def _block(self, rows: list[_Row], columns: Iterable[str]) -> Block:
        fields, separator = len(self._header), self._layout.separator
        faults = [(line, _row_fault(row, fields, separator)) for line, row in rows]
        bad = [(line, fault) for line, fault in faults if fault is not None]
        good = (
            [i for i, (_, fault) in enumerate(faults) if fault is None] if bad else range(len(rows))
        )
        by_column = list(zip(*[rows[i][1] for i in good], strict=True)) or [()] * len(self._header)
        texts = [pl.Series(n, by_column[self._header.index(n)], pl.String) for n in columns]
        frame = pl.DataFrame(texts).with_columns(pl.all().replace("", None))
        numbers = np.array([rows[i][0] for i in good], dtype=np.int64)
        return Block(frame, numbers, fault_frame(bad))


def _any_text(frame: pl.DataFrame) -> bool:
    return bool(frame.select(pl.any_horizontal(pl.all().is_not_null()).any()).item())


def _layout(file: Bytes, usual: str, name: str) -> _Layout:
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), "")
    named = _SEPARATOR_LINE.fullmatch(first)
    separator = named[1] if named else _separator(first, usual)
    first = next(lines, "") if named else first
    _check_first(first, name)
    header = _first_row(first, lines, separator, name)
    spaced = len(header) > 1 and all(column.startswith(" ") for column in header[1:])
    if spaced:
        header = _first_row(first, lines, separator, name, spaced=True)
    # Empty names as pandas calls them; it is also what writes most of them, for its index.
    header = [column.strip() or f"Unnamed: {place}" for place, column in enumerate(header)]
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        msg = f"{name}: the header names {', '.join(map(repr, repeated))} more than once"
        raise InvalidInputError(msg)
    return _Layout(separator, spaced, 2 if named else 1, header)


def _separator(first: str, usual: str) -> str:
    plain = _QUOTED.sub("", first)
    return next((mark for mark in (usual, *_SEPARATORS) if mark in plain), usual)


def _check_first(first: str, name: str) -> None:
    """Refuse a header line that shows another format or encoding."""
    wrong = ""
    if first.lstrip().startswith(("{", "[{")):
        wrong = "it looks like JSON; name the file .jsonl"
    elif not _is_utf8(first):
        wrong = "it is not UTF-8; convert the file, as by iconv -f LATIN1 -t UTF-8"
    elif "\r" in _QUOTED.sub("", first).rstrip("\r\n"):
        wrong = "its lines end in CR alone; convert the file, as by tr '\\r' '\\n'"
    if wrong:
        msg = f"{name}: the header line cannot be read: {wrong}"
        raise InvalidInputError(msg)


def _first_row(
    first: str, rest: Iterator[str], separator: str, name: str, *, spaced: bool = False
) -> list[str]:
    rows = _next_rows(_reader(chain([first], rest), separator, spaced=spaced), 1)
    header = rows[0][1] if rows else []
    if isinstance(header, str):
        msg = f"{name}: the header line cannot be read: {header}"
        raise InvalidInputError(msg)
    return header


def _reader(lines: Iterable[str], separator: str, *, spaced: bool) -> Any:
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=spaced)


def _next_rows(reader: Any, count: int) -> list[_Row]:
    """Return the next rows, fewer at the end, each with the line (from 1) on which it starts."""
    rows: list[_Row] = []
    # The csv module's limit belongs to the whole process, so it is restored after every block.
    limit = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        while len(rows) < count:
            start = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                rows.append((start, str(error)))
                continue
            if row is None:
                break
            if row:
                rows.append((start, row))
    finally:
        csv.field_size_limit(limit)
    return rows


def _lines(file: Bytes) -> Iterator[str]:
    return chain.from_iterable(map(_lines_of, line_blocks(file, MAX_LINE_BYTES)))


def _lines_of(lines: Lines) -> Iterator[str]:
    if lines.cut:
        # Too long to be held; a field beyond the limit makes the reader refuse the row.
        return iter(["x" * (MAX_LINE_BYTES + 1)])
    # Bytes that are no UTF-8 become lone surrogates, by which `_row_fault` recognises them.
    return iter(io.StringIO(lines.data.decode("utf-8", "surrogateescape"), newline="\n"))


def _row_fault(row: list[str] | str, fields: int, separator: str) -> Fault | None:
    if isinstance(row, str):
        long = "field limit" in row
        return Fault("", None, reasons.TOO_LONG_LINE if long else f"{reasons.NOT_CSV}: {row}")
    if len(row) != fields:
        return Fault("", shorten(separator.join(row)), reasons.FIELD_COUNT)
    text = separator.join(row)
    return None if text.isascii() or _is_utf8(text) else Fault("", shorten(text), reasons.NOT_UTF8)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
