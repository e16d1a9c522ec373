"""Documents of a search engine's index from any form they are exported in, one by one.

A document is a JSON object: a line of its own, wrapped in ``_source``, a hit of a search answer
(``hits.hits``), an element of an array, the line after a bulk action, a row of a table, or a dict.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from ...errors import InvalidInputError, UnreadableSourceError
from .. import _reasons as reasons
from .._depth import is_too_deep
from .._json_line import Fault, line_fault, text_of
from .._open import COMPRESSED, JSON_LINES, PARQUET, check_file, open_sources, paths_of
from .._records import encode_record
from .._text import check_text, line_blocks, open_text, text_errors
from ..interaction import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .._sources import Source

MAX_ANSWER_BYTES: Final = 1_000_000_000
"""Largest file that is one JSON value: it is held as a whole."""

_ANSWER: Final = re.compile(
    rb'\s*(?:\[|\{\s*(?:[\r\n]|"(?:took|hits|_scroll_id|pit_id|timed_out|_shards)"))'
)
_BULK_ACTIONS: Final = frozenset({"index", "create"})
_HEAD_BYTES: Final = 4_096


class Document(NamedTuple):
    """One document, or why there is none.

    Attributes
    ----------
    source : str
        Name of the file or table.
    row : int
        Line of a text file, from 1; element of an array, row of a table or list, from 0.
    value : dict or Fault
    """

    source: str
    row: int
    value: dict[str, Any] | Fault


def documents(source: Any, parameter: str) -> Iterator[Document]:
    """Yield the documents of a source.

    Parameters
    ----------
    source : path, glob, table, dict, list of dicts or list of paths
    parameter : str
        Name of the caller's parameter, for messages.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If the source is of a kind that is not known.
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
    if suffix in PARQUET:
        for opened in open_sources(path):
            yield from _of_table(opened)
        return
    plain = path.with_suffix("") if suffix in COMPRESSED else path
    if plain.suffix.lower() not in JSON_LINES:
        msg = (
            f"{parameter}: cannot tell the format of {str(path)!r}; its name should end in "
            ".parquet, .pq, .jsonl, .ndjson or .json, the latter three also with .gz or .zst"
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
                fault = Fault("", text_of(lines.data), reasons.TOO_LONG_LINE)
                yield Document(name, lines.first, fault)
                continue
            for row, line in enumerate(lines.data.split(b"\n"), lines.first):
                if not line.isspace() and line:
                    yield from _of_line(name, row, line)


def _of_line(name: str, row: int, line: bytes) -> Iterator[Document]:
    fault = line_fault(line, ())
    if fault is not None:
        yield Document(name, row, fault)
        return
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        # Checked without its values: only decoding meets a lone surrogate or a number too large.
        yield Document(name, row, Fault("", text_of(line), f"{reasons.NOT_JSON}: {error}"))
        return
    yield from _expanded(name, row, value)


def _of_answer(path: Path) -> Iterator[Document]:
    """Yield the documents of a file that is one JSON value: an array or a search's answer."""
    name = str(path)
    with text_errors(name), open_text(path) as file:
        parts, held = [], 0
        while chunk := file.read(16_000_000):
            parts.append(chunk)
            held += len(chunk)
            if held > MAX_ANSWER_BYTES:
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
    for block in source.blocks(list(source.schema or ())):
        first = block.numbers if isinstance(block.numbers, int) else 0
        for row, value in enumerate(block.frame.iter_rows(named=True), first):
            yield from _expanded(source.name, row, value)


def _of_record(name: str, row: int, record: Any) -> Iterator[Document]:
    """Yield what a Python value holds, by the same rules as a line of text."""
    if not isinstance(record, Mapping):
        fault = Fault("", text_of(repr(record)[:200]), "expected a JSON object")
        yield Document(name, row, fault)
        return
    line = encode_record(record)
    if isinstance(line, Fault):
        yield Document(name, row, line)
    elif is_too_deep(line):
        yield Document(name, row, Fault("", text_of(line), reasons.TOO_DEEP))
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
        return Fault("", text_of(value), "expected a JSON object")
    inner = value.get("_source", value)
    if not isinstance(inner, dict):
        return Fault("_source", text_of(inner), reasons.NOT_OBJECT)
    return inner
