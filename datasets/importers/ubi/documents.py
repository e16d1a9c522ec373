"""Documents of an index of OpenSearch from any form they are exported in, one by one.

A document is a JSON object: a line of its own, wrapped in ``_source``, a hit of a search answer
(``hits.hits``), an element of an array, the line after a bulk action, a row of a table or CSV file,
or a dict.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from ....errors import InvalidInputError, UnreadableSourceError
from ...reading.file_formats import COMPRESSED, CSV, JSON_LINES, PARQUET
from ...reading.open_sources import open_sources
from ...reading.paths import check_file, paths_of
from ...reading.quarantine import FAULT_SCHEMA
from ...reading.text_blocks import check_text, line_blocks, open_text, text_errors
from ...record import fault as reasons
from ...record.encode import encode_record
from ...record.fault import Fault, shorten
from ...record.interaction import MAX_LINE_BYTES
from ...record.json_depth import is_too_deep
from ...record.json_line import line_fault
from .flatten import NESTED_HIT_LISTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...reading.source import Source

MAX_ANSWER_BYTES: Final = 1_000_000_000
"""Largest file that is one JSON value: it is held as a whole."""

_ANSWER: Final = re.compile(
    rb'\s*(?:\[|\{\s*(?:[\r\n]|"(?:took|hits|_scroll_id|pit_id|timed_out|_shards)"))'
)
_BULK_ACTIONS: Final = frozenset({"index", "create"})
_HEAD_BYTES: Final = 4_096


class Document(NamedTuple):
    """One document, or why there is none."""

    source: str  # name of the file or table
    row: int  # line of a text file, from 1; element of an array, row of a table or list, from 0
    value: dict[str, Any] | Fault


def documents(source: Any, parameter: str) -> Iterator[Document]:
    """Yield the documents of a source.

    `parameter`: name of the caller's parameter, for messages. Raises UnreadableSourceError if a
    file is missing, truncated or of another format. Raises InvalidInputError if the source is of a
    kind that is not known.
    """
    if isinstance(source, str | os.PathLike):
        for path in paths_of(source):
            yield from _of_file(path, parameter)
    elif isinstance(source, Mapping):
        yield from _expanded(parameter, 0, dict(source))
    elif _is_list(source):
        for row, item in enumerate(source):
            nested = isinstance(item, str | os.PathLike)
            yield from documents(item, parameter) if nested else _of_record(parameter, row, item)
    else:
        for opened in open_sources(source):
            yield from _of_table(opened)


def _is_list(source: Any) -> bool:
    table = hasattr(source, "__arrow_c_stream__") or hasattr(source, "columns")
    return isinstance(source, Iterable) and not isinstance(source, bytes) and not table


def _of_file(path: Path, parameter: str) -> Iterator[Document]:
    check_file(path)
    suffix = path.suffix.lower()
    plain = path.with_suffix("") if suffix in COMPRESSED else path
    if suffix in PARQUET or plain.suffix.lower() in CSV:
        for opened in open_sources(path):
            yield from _of_table(opened)
        return
    if plain.suffix.lower() not in JSON_LINES:
        msg = (
            f"{parameter}: the format of {str(path)!r} is not known by its name, which should end "
            "in .parquet, .pq, .jsonl, .ndjson, .json, .csv or .tsv, the text ones also with .gz "
            "or .zst"
        )
        raise InvalidInputError(msg)
    check_text(path)
    with text_errors(str(path)), open_text(path) as file:
        head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
    yield from _of_answer(path) if _ANSWER.match(head) else _of_lines(path)


def _of_lines(path: Path) -> Iterator[Document]:
    name = str(path)
    with text_errors(name), open_text(path) as file:
        for lines in line_blocks(file, MAX_LINE_BYTES):
            if lines.cut:
                fault = Fault("", shorten(lines.data), reasons.TOO_LONG_LINE)
                yield Document(name, lines.first, fault)
                continue
            for row, line in enumerate(lines.data.split(b"\n"), lines.first):
                if not line.isspace() and line:
                    yield from _of_line(name, row, line)


def _of_line(name: str, row: int, line: bytes) -> Iterator[Document]:
    fault = line_fault(line, {})
    if fault is not None:
        yield Document(name, row, fault)
        return
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        # Only decoding finds a lone surrogate or a number too large.
        yield Document(name, row, Fault("", shorten(line), f"{reasons.NOT_JSON}: {error}"))
        return
    yield from _expanded(name, row, value)


def _of_answer(path: Path) -> Iterator[Document]:
    """Yield the documents of a file that is one JSON value: an array or a search's answer."""
    name = str(path)
    with text_errors(name), open_text(path) as file:
        parts, size = [], 0
        while chunk := file.read(16_000_000):
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                msg = (
                    f"{name}: one JSON value of over {MAX_ANSWER_BYTES:,} bytes; export JSON lines"
                )
                raise UnreadableSourceError(msg)
    text = b"".join(parts).removeprefix(b"\xef\xbb\xbf")
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        # Several answers, one a line, as scrolling writes them.
        yield from _of_lines(path)
        return
    if isinstance(value, list):
        for row, item in enumerate(value):
            yield from _of_record(name, row, item)
    elif is_too_deep(text):
        msg = f"{name}: {reasons.TOO_DEEP}"
        raise UnreadableSourceError(msg)
    else:
        yield from _expanded(name, 0, value)


def _of_table(source: Source) -> Iterator[Document]:
    for block in source.blocks({name: name for name in source.schema or ()}):
        first = block.numbers
        numbers = range(first, first + len(block.frame)) if isinstance(first, int) else first
        for row, value in zip(numbers, block.frame.iter_rows(named=True), strict=True):
            yield from _expanded(source.name, int(row), _split(value) if source.text else value)
        if block.refused is not None:
            for row, *fault in block.refused.select(*FAULT_SCHEMA).iter_rows():
                yield Document(source.name, row, Fault(*fault))


def _split(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of CSV with its hit list as a list, unless it is JSON."""
    names = [name for name in row if name.rpartition(".")[2] in NESTED_HIT_LISTS]
    for name in names:
        text = row[name]
        if text is not None and not text.lstrip().startswith("["):
            row[name] = [hit.strip() for hit in text.split("|" if "|" in text else ",")]
    return row


def _of_record(name: str, row: int, record: Any) -> Iterator[Document]:
    """Yield the documents in a Python value, by the same rules as a line of text."""
    if not isinstance(record, Mapping):
        fault = Fault("", shorten(repr(record)[:200]), "expected a JSON object")
        yield Document(name, row, fault)
        return
    line = encode_record(record)
    if isinstance(line, Fault):
        yield Document(name, row, line)
    elif is_too_deep(line):
        yield Document(name, row, Fault("", shorten(line), reasons.TOO_DEEP))
    else:
        yield from _expanded(name, row, msgspec.json.decode(line))


def _expanded(name: str, row: int, value: dict[str, Any]) -> Iterator[Document]:
    """Yield the documents that an object holds: itself, its `_source`, or its hits."""
    hits = value.get("hits")
    if isinstance(hits, Mapping) and isinstance(hits.get("hits"), list):
        for hit in hits["hits"]:
            yield Document(name, row, _unwrapped(hit))
    elif not _is_bulk_action(value):
        yield Document(name, row, _unwrapped(value))


def _is_bulk_action(value: Mapping[str, Any]) -> bool:
    return (
        len(value) == 1
        and isinstance(value.get(next(iter(value))), Mapping)
        and (not _BULK_ACTIONS.isdisjoint(value))
    )


def _unwrapped(value: Any) -> dict[str, Any] | Fault:
    if not isinstance(value, dict):
        return Fault("", shorten(value), "expected a JSON object")
    inner = value.get("_source", value)
    if not isinstance(inner, dict):
        return Fault("_source", shorten(inner), reasons.NOT_OBJECT)
    return inner
