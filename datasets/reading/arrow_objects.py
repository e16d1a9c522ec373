"""Which objects of other libraries stream Arrow batches, and how to start them.

These are readers, results of queries, tables of a lake and datasets of Hugging Face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from .arrow_input import RepeatedInput, close_reader, stream_errors
from .started_input import StartedInput, open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .arrow_input import ArrowInput

_FACTORIES: Final = ("to_arrow_batch_reader", "to_reader", "to_batches")
"""Methods that start to read: of PyIceberg's scans, of pyarrow's, and of others."""

_BATCH_ROWS: Final = 65_536


def arrow_input(source: Any) -> ArrowInput | None:
    """Return the Arrow batches that an object of another library gives; None if it gives none.

    Examples
    --------
    >>> import pyarrow as pa
    >>> reader = pa.table({"feature_id": ["a", "b"]}).to_reader()
    >>> found = arrow_input(reader)
    >>> found.once, [batch.num_rows for batch in found.batches(["feature_id"])]
    (True, [2])
    """
    name = type(source).__name__
    with stream_errors(name):
        if _is_hugging_face(source):
            return _hugging_face(source, name)
        if hasattr(source, "__arrow_c_stream__"):
            return _stream(source, name)
        if callable(getattr(source, "to_pyarrow_dataset", None)):
            return _delta(source, name)
        if callable(getattr(source, "scanner", None)) and hasattr(source, "schema"):
            return _dataset(source, name)
        for factory in _FACTORIES:
            if callable(getattr(source, factory, None)):
                return _started_by(source, factory, name)
    return None


def _stream(source: Any, name: str) -> ArrowInput:
    """Return what gives an Arrow stream, each time anew or once."""
    if type(source).__module__.partition(".")[0] in {"duckdb", "_duckdb"}:
        # A relation is a query, which runs each time that it is read.
        empty = open_reader(source.limit(0))
        schema = empty.schema
        close_reader(empty)
        return RepeatedInput(name, schema, lambda columns: open_reader(_projected(source, columns)))
    once = any(hasattr(source, each) for each in ("__next__", "read_next_batch"))
    return StartedInput(name, source, once=once)


def _projected(relation: Any, columns: Sequence[str]) -> Any:
    quoted = ('"' + name.replace('"', '""') + '"' for name in columns)
    return relation.project(", ".join(quoted))


def _delta(table: Any, name: str) -> ArrowInput:
    """Return a Delta table; pyarrow cannot read one with deletion vectors, deltalake's scan can."""
    try:
        return _dataset(table.to_pyarrow_dataset(), name)
    except Exception:
        if not callable(getattr(table, "scan", None)):
            raise
    # A second scan may give the rows in another order, so that their numbers would not be the same.
    return StartedInput(name, table.scan(), once=True)


def _dataset(dataset: Any, name: str) -> ArrowInput:
    """Return a dataset of pyarrow, of which only some batches are read ahead."""

    def start(columns: Sequence[str]) -> Any:
        scanner = dataset.scanner(
            columns=list(columns), batch_size=_BATCH_ROWS, batch_readahead=2, fragment_readahead=1
        )
        return scanner.to_reader()

    return RepeatedInput(name, dataset.schema, start)


def _started_by(source: Any, factory: str, name: str) -> ArrowInput:
    """Return what starts to read by a method without arguments."""

    def start(columns: Sequence[str] | None = None) -> Any:
        chosen = source
        if columns is not None and factory == "to_arrow_batch_reader":
            # PyIceberg reads all columns unless some are selected.
            select = getattr(source, "select", None)
            chosen = select(*columns) if callable(select) else source
        batches = getattr(chosen, factory)()
        return open_reader(batches) if hasattr(batches, "__arrow_c_stream__") else batches

    batches = start()
    schema = getattr(batches, "schema", None)
    if schema is None:
        first = next(iter(batches), None)
        if first is None:
            msg = f"{name}: {factory}() gives no batch, so that its columns are unknown"
            raise InvalidInputError(msg)
        schema = first.schema
    close_reader(batches)
    return RepeatedInput(name, schema, start)


def _is_hugging_face(source: Any) -> bool:
    names = ("with_format", "iter", "select_columns")
    return all(callable(getattr(source, each, None)) for each in names)


def _hugging_face(source: Any, name: str) -> ArrowInput:
    """Return a dataset of Hugging Face, on disk or streamed; both can be read again."""

    def start(columns: Sequence[str] | None = None) -> Iterator[Any]:
        chosen = source if columns is None else source.select_columns(list(columns))
        for table in chosen.with_format("arrow").iter(batch_size=_BATCH_ROWS):
            yield from table.to_batches()

    if source.features is not None:
        rows = getattr(source, "num_rows", None)
        return RepeatedInput(name, source.features.arrow_schema, start, rows)
    import pyarrow as pa

    first = next(start(), None)
    schema = pa.schema([]) if first is None else first.schema
    empty = [field.name for field in schema if pa.types.is_null(field.type)]
    if empty:
        # Read as an empty column, values of later batches would be lost.
        msg = (
            f"{name}: the type of column {empty[0]!r} is unknown, as its first values are missing. "
            "Give the dataset features=, or call remove_columns"
        )
        raise InvalidInputError(msg)
    return RepeatedInput(name, schema, start)
