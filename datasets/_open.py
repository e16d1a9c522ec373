"""Whatever the user calls a source, opened and checked: paths, globs, tables, dicts, records."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from ..errors import InvalidInputError, UnreadableSourceError
from ._csv import CsvSource
from ._jsonl import JsonLinesSource
from ._log.read import LogSource
from ._records import RecordsSource
from ._sources import ParquetSource, TableSource
from .log import InteractionLog

if TYPE_CHECKING:
    from ._sources import Source

PARQUET: Final = frozenset({".parquet", ".pq"})
JSON_LINES: Final = frozenset({".jsonl", ".ndjson", ".json"})
CSV: Final = {".csv": ",", ".tsv": "\t"}
COMPRESSED: Final = frozenset({".gz", ".zst"})
_KINDS: Final = (
    ".parquet, .pq, .jsonl, .ndjson, .json, .csv or .tsv, the text ones also with .gz or .zst"
)


def open_sources(source: Any) -> list[Source]:
    """Return the sources behind what the user gave, each checked for being readable.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or not what its name says.
    InvalidInputError
        If the source is of a kind that is not known, or a glob matches nothing.
    """
    if isinstance(source, str | os.PathLike):
        return [_open_file(path) for path in paths_of(source)]
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return [TableSource(source, type(source).__name__)]
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return [_table(source)]
    if isinstance(source, InteractionLog):
        return [LogSource(source)]
    if callable(getattr(source, "scan", None)):
        return [opened for frame in source.scan() for opened in open_sources(frame)]
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        return _open_many(list(source))
    msg = (
        f"source: cannot read interactions from {type(source).__name__}. Expected a path or glob, "
        "a polars, pandas or Arrow table, an InteractionLog, a list of dicts, or a list of paths"
    )
    raise InvalidInputError(msg)


def _open_many(items: list[Any]) -> list[Source]:
    record = (Mapping, msgspec.Struct)
    if not items or any(isinstance(item, record) for item in items):
        return [RecordsSource(items)]
    if any(isinstance(item, Iterable) and not hasattr(item, "columns") for item in items):
        strange = [i for i in items if not isinstance(i, str | os.PathLike)]
        if strange:
            msg = f"source: expected paths, tables or dicts in the list, got {type(strange[0])}"
            raise InvalidInputError(msg)
    return [opened for item in items for opened in open_sources(item)]


def _table(source: Any) -> TableSource:
    name = type(source).__name__
    pandas = type(source).__module__.partition(".")[0] == "pandas"
    try:
        # pandas writes a missing number as NaN, which elsewhere is a fault.
        frame = pl.from_pandas(source, nan_to_null=True) if pandas else pl.DataFrame(source)
    except ImportError as error:
        msg = f"source: reading a {name} needs pyarrow: pip install 'rankloom[pandas]'"
        raise InvalidInputError(msg) from error
    except (Exception, pl.exceptions.PanicException) as error:
        msg = f"source: the {name} cannot be converted: {str(error)[:300]}"
        raise InvalidInputError(msg) from error
    return TableSource(frame, name)


def paths_of(source: str | os.PathLike[str]) -> list[Path]:
    """Return the path, or those that match the glob in order; a glob without any is refused."""
    text = os.fspath(source)
    path = Path(text).expanduser()
    try:
        if path.exists() or not glob.has_magic(text):
            return [path]
    except (OSError, ValueError) as error:
        msg = f"source: {text[:200]!r} is no path: {error}"
        raise UnreadableSourceError(msg) from error
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        msg = f"source: no file matches {text!r}"
        raise UnreadableSourceError(msg)
    return found


def _open_file(path: Path) -> Source:
    check_file(path)
    kind = path.suffix.lower()
    if kind in PARQUET:
        return ParquetSource(path)
    if kind in COMPRESSED:
        kind = path.with_suffix("").suffix.lower()
    if kind in JSON_LINES:
        return JsonLinesSource(path)
    if kind in CSV:
        return CsvSource(path, CSV[kind])
    msg = f"source: cannot tell the format of {str(path)!r}; its name should end in {_KINDS}"
    raise InvalidInputError(msg)


def check_file(path: Path) -> None:
    """Refuse what is no readable regular file."""
    try:
        if path.is_dir():
            msg = f"{path}: this is a folder. Name its files with a glob: '{path}/*.parquet'"
            raise UnreadableSourceError(msg)
        if not path.exists():
            msg = f"{path}: no such file"
            raise UnreadableSourceError(msg)
        if not path.is_file():
            msg = f"{path}: not a regular file"
            raise UnreadableSourceError(msg)
        with path.open("rb"):
            pass
    except ValueError as error:
        msg = f"source: {str(path)[:200]!r} is no path: {error}"
        raise UnreadableSourceError(msg) from error
    except PermissionError as error:
        msg = f"{path}: not readable: {error}"
        raise UnreadableSourceError(msg) from error
