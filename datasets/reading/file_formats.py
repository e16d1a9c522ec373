"""Which format a file has, by its name or else by its content, and the source that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from ...errors import InvalidInputError
from .csv_file import CsvSource
from .json_lines import JsonLinesSource
from .parquet import ParquetSource
from .remote_tables import remote_arrow, remote_parquet
from .source import reading
from .stream_source import StreamSource
from .tables import TableSource
from .text_blocks import BOM, open_text, text_errors

if TYPE_CHECKING:
    from .remote_files import RemoteFile
    from .source import Source

PARQUET: Final = frozenset({".parquet", ".pq"})
ARROW: Final = frozenset({".arrow", ".feather", ".ipc"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson", ".json"})
CSV: Final = {".csv": ",", ".tsv": "\t"}
COMPRESSED: Final = frozenset({".gz", ".zst"})
_FORMATS: Final = (
    ".parquet, .pq, .arrow, .feather, .jsonl, .ndjson, .json, .csv or .tsv, the text ones also "
    "with .gz or .zst"
)
_HEAD_BYTES: Final = 65_536
_ARROW_FILE: Final = b"ARROW1"


def open_file(path: Path | RemoteFile, parameter: str) -> Source:
    """Return the source of a file's rows.

    Raises
    ------
    UnreadableSourceError
        If the file is truncated or not what its name says.
    InvalidInputError
        If neither name nor content gives a known format.
    """
    kind = path.suffix.lower()
    if kind in COMPRESSED:
        kind = "".join(path.suffixes[-2:-1]).lower()
    if kind in PARQUET:
        return _parquet(path)
    if kind in ARROW:
        return _arrow(path)
    if kind in JSON_LINES:
        return JsonLinesSource(path)
    if kind in CSV:
        return CsvSource(path, CSV[kind])
    return _by_content(path, parameter)


def _parquet(path: Path | RemoteFile) -> Source:
    return ParquetSource(path) if isinstance(path, Path) else StreamSource(remote_parquet(path))


def _arrow(path: Path | RemoteFile) -> Source:
    """Return an Arrow file, or a stream of record batches, which carry the same suffixes."""
    if not isinstance(path, Path):
        return StreamSource(remote_arrow(path))
    with reading(str(path)):
        with path.open("rb") as file:
            is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
        frame = pl.scan_ipc(path) if is_file else pl.read_ipc_stream(path)
        return TableSource(frame, str(path))


def _by_content(path: Path | RemoteFile, parameter: str) -> Source:
    with text_errors(str(path)), open_text(path) as file:
        head = file.read(_HEAD_BYTES).removeprefix(BOM)
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if head.startswith(_ARROW_FILE):
        return _arrow(path)
    if head.lstrip().startswith((b"{", b"[")) or not head.strip():
        return JsonLinesSource(path)
    first, _, _ = head.partition(b"\n")
    if b"\0" not in head and any(mark in first for mark in (b"\t", b",", b";", b"|")):
        return CsvSource(path, "\t" if b"\t" in first else ",")
    msg = (
        f"{parameter}: neither the name nor the content of {str(path)!r} gives a known format; the "
        f"name should end in {_FORMATS}"
    )
    raise InvalidInputError(msg)
