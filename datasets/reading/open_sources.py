"""Sources of rows from what users give: paths, globs, folders, tables, lists of dicts, logs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from ...errors import InvalidInputError
from .arrow_objects import arrow_input
from .file_formats import open_file
from .partitioned import in_folders
from .paths import check_file, paths_of
from .records import RecordsSource
from .remote_files import is_url, remote_files
from .started_input import READ_AGAIN
from .stream_source import StreamSource
from .tables import TableSource
from .value_columns import columns_frame, plain_values

if TYPE_CHECKING:
    from .remote_files import RemoteFile
    from .source import Source


def open_sources(source: Any, parameter: str = "source") -> list[Source]:  # noqa: PLR0911 - a kind each
    """Return the sources of rows in what was given, each checked for being readable.

    Parameters
    ----------
    source : see `Scan`
    parameter : str
        Named in errors.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or not what its name says.
    InvalidInputError
        If the source is of a kind that is not known, or a glob matches nothing.
    """
    if isinstance(source, OpenedSources):
        return source.sources
    if isinstance(source, str | os.PathLike):
        paths = remote_files(source, parameter) if is_url(source) else paths_of(source, parameter)
        return [_open_path(path, parameter) for path in paths]
    if isinstance(source, pl.DataFrame | pl.LazyFrame):
        return [TableSource(source, type(source).__name__)]
    if _is_table(source):
        return [_table(source, parameter)]
    if callable(getattr(source, "as_source", None)):
        return [source.as_source()]
    stream = arrow_input(source)
    if stream is not None:
        return [StreamSource(stream)]
    if callable(getattr(source, "scan", None)):
        return _open_scan(source.scan(), parameter)
    return _open_values(source, parameter)


def _is_table(source: Any) -> bool:
    """Return whether an object holds all its rows, as Arrow or pandas columns."""
    if hasattr(source, "__arrow_c_array__") or isinstance(source, pl.Series):
        return True
    # Tables and chunked arrays of pyarrow, tables of arro3, frames of pandas.
    held = any(hasattr(source, each) for each in ("to_pylist", "rechunk", "iloc"))
    return held and hasattr(source, "__arrow_c_stream__")


def _open_scan(found: Any, parameter: str) -> list[Source]:
    """Return the sources of what a method ``scan()`` gives: frames, or a stream of one table."""
    stream = arrow_input(found)
    return _open_each(found, parameter) if stream is None else [StreamSource(stream)]


def _open_values(source: Any, parameter: str) -> list[Source]:
    """Return the sources of rows in Python's own containers and in arrays."""
    if isinstance(source, np.ndarray) and source.dtype.names:
        source = {name: source[name] for name in source.dtype.names}
    if isinstance(source, Mapping):
        return [_columns(source, parameter)]
    if hasattr(source, "read"):
        msg = (
            f"{parameter}: an open file ({type(source).__name__}) is not read. Give its path, or "
            "what another library reads from it, such as polars.read_csv(file) or csv.DictReader"
        )
        raise InvalidInputError(msg)
    if isinstance(source, Iterable) and not isinstance(source, bytes):
        return _open_many(list(source), parameter)
    msg = (
        f"{parameter}: cannot read rows from {type(source).__name__}. Expected a path or glob, "
        "a polars, pandas or Arrow table, an InteractionLog, a list of dicts, a dict of columns, "
        "or a list of paths"
    )
    raise InvalidInputError(msg)


class OpenedSources:
    """Sources that were opened once, to be read twice: an iterator can be consumed only once.

    Parameters
    ----------
    source : see `Scan`
    parameter : str
        Named in errors.
    twice : bool
        Whether the second reading is certain, so that a stream that gives its rows once is refused
        before the first.
    """

    def __init__(self, source: Any, parameter: str, *, twice: bool = True) -> None:
        self.sources = open_sources(source, parameter)
        streams = [each for each in self.sources if isinstance(each, StreamSource)]
        if twice and any(each.once for each in streams):
            msg = (
                f"{parameter}: it is read twice, while this {streams[0].name} gives its rows once. "
                f"Give {READ_AGAIN}"
            )
            raise InvalidInputError(msg)


def _open_path(path: Path | RemoteFile, parameter: str) -> Source:
    if isinstance(path, Path):
        check_file(path)
    return in_folders(open_file(path, parameter), path)


def _open_each(items: Iterable[Any], parameter: str) -> list[Source]:
    return [source for item in items for source in open_sources(item, parameter)]


def _open_many(items: list[Any], parameter: str) -> list[Source]:
    record = (Mapping, msgspec.Struct)
    if not items or any(isinstance(item, record) for item in items):
        return [RecordsSource(items)]
    if any(isinstance(item, Iterable) and not hasattr(item, "columns") for item in items):
        strange = [
            item
            for item in items
            if not isinstance(item, str | os.PathLike) and not hasattr(item, "as_source")
        ]
        if strange:
            kind = type(strange[0]).__name__
            msg = f"{parameter}: expected paths, tables or dicts in the list, got {kind}"
            raise InvalidInputError(msg)
    return _open_each(items, parameter)


def _columns(source: Mapping[str, Any], parameter: str) -> Source:
    """Return a dict of columns as a table; a dict that is one record is refused."""
    single = [
        name
        for name, value in source.items()
        if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__len__")
    ]
    lengths = {} if single else {name: len(value) for name, value in source.items()}
    if single or len(set(lengths.values())) > 1:
        found = f"{single[0]!r} is one value" if single else f"their lengths are {lengths}"
        msg = (
            f"{parameter}: expected a dict of columns of one length, but {found}. "
            "Give one record as a list: [{...}]"
        )
        raise InvalidInputError(msg)
    try:
        return TableSource(columns_frame(source), parameter)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        # A column of several types: every row is judged by itself.
        rows = zip(*map(plain_values, source.values()), strict=True)
        return RecordsSource([dict(zip(source, row, strict=True)) for row in rows])


def _table(source: Any, parameter: str) -> Source:
    name = type(source).__name__
    pandas = type(source).__module__.partition(".")[0] == "pandas"
    if pandas:
        source = _pandas_frame(source)
    names = list(map(str, source.columns if pandas else getattr(source, "column_names", ())))
    repeated = sorted({each for each in names if names.count(each) > 1})
    if repeated:
        msg = f"{parameter}: the {name} has several columns {repeated[0]!r}; rename or drop one"
        raise InvalidInputError(msg)
    try:
        # pandas writes a missing number as NaN, which elsewhere is a fault.
        frame = pl.from_pandas(source, nan_to_null=True) if pandas else pl.DataFrame(source)
    except (Exception, pl.exceptions.PanicException) as error:
        # A column of several types, or of one that polars does not know.
        if pandas:
            return RecordsSource([dict(zip(names, row, strict=True)) for row in _rows(source)])
        if hasattr(source, "to_pylist"):
            return RecordsSource(source.to_pylist())
        msg = f"{parameter}: the {name} cannot be converted: {str(error)[:300]}"
        raise InvalidInputError(msg) from error
    return TableSource(frame, name)


def _pandas_frame(source: Any) -> Any:
    """Return a pandas object as a frame, in which the named levels of the index are columns."""
    frame = source.to_frame() if source.ndim == 1 else source
    named = [n for n in frame.index.names if n is not None and n not in frame.columns]
    return frame.reset_index(level=named) if named else frame


def _rows(frame: Any) -> Iterable[tuple[Any, ...]]:
    rows: Iterable[tuple[Any, ...]] = frame.itertuples(index=False, name=None)
    return rows
