"""Arrow streams that are read as they are given: most of them once, some again from their start."""

from __future__ import annotations

import tempfile
import weakref
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError, UnreadableSourceError
from .arrow_input import close_reader, selected, stream_errors

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_MEMORY_BYTES: Final = 1 << 26
"""Batches that were looked at and take more wait on disk until they are read."""

READ_AGAIN: Final = (
    "what can be read again: a table (of a reader: reader.read_all()), a DuckDB relation, a Delta "
    "or Iceberg table, a pyarrow dataset, or a file"
)

_rows_of: dict[int, tuple[weakref.ref[Any], int]] = {}
"""Object that was read, by its id -> how many rows it had given."""


class StartedInput:
    """An object with ``__arrow_c_stream__``; what is looked at in it is read all the same.

    Parameters
    ----------
    name : str
    source : object
    once : bool
        Whether it surely gives its batches only once.

    Raises
    ------
    InvalidInputError
        If it gives its batches only once and was read before.
    """

    rows: int | None = None

    def __init__(self, name: str, source: Any, *, once: bool) -> None:
        self.name, self.once = name, once
        self._source = source
        if once and _rows_given(source) is not None:
            raise self._was_read()
        self._reader = self._opened()
        self.schema = self._reader.schema
        self._looked_at = _Spool(self.schema)
        self._begun = False

    def look(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of all batches, which stay to be read."""
        if self._begun:
            yield from self.batches(columns)
            return
        yield from selected(self._looked_at.batches(), columns, self.name)
        yield from selected(self._remembered(), columns, self.name)

    def batches(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of all batches, those that were looked at first.

        Raises
        ------
        InvalidInputError
            If the object gives none although it had given some, or can be read only once and was.
        """
        given, rows = _rows_given(self._source), 0
        reader = self._reader
        before: Iterator[Any] = iter(())
        if not self._begun:
            before = self._looked_at.batches()
        elif self.once:
            raise self._was_read()
        else:
            reader = self._opened()
        self._begun = True
        _note_rows(self._source, given or 0)
        try:
            for batch in selected(chain(before, reader), columns, self.name):
                rows += batch.num_rows
                _note_rows(self._source, max(given or 0, rows))
                yield batch
        finally:
            close_reader(reader)
            self._looked_at.close()
        if given and not rows:
            raise self._was_read()

    def _opened(self) -> Any:
        try:
            with stream_errors(self.name):
                return open_reader(self._source)
        except UnreadableSourceError:
            # Readers that were read are closed, which their own errors do not explain.
            if _rows_given(self._source) is not None:
                raise self._was_read() from None
            raise

    def _remembered(self) -> Iterator[Any]:
        for batch in self._reader:
            self._looked_at.add(batch)
            yield batch

    def _was_read(self) -> InvalidInputError:
        msg = f"{self.name}: it gives its rows once, and they were read before. Give {READ_AGAIN}"
        return InvalidInputError(msg)


def open_reader(source: Any) -> Any:
    """Return pyarrow's reader of an object with ``__arrow_c_stream__``."""
    import pyarrow as pa

    return pa.RecordBatchReader.from_stream(source)


class _Spool:
    """Batches in a temporary file, in memory as long as they are few."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._file: Any = None
        self._writer: Any = None

    def add(self, batch: Any) -> None:
        """Append a batch."""
        import pyarrow as pa

        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - closed by `close`
            # A stream may be looked at and then never be read.
            weakref.finalize(self, self._file.close)
            self._writer = pa.ipc.new_stream(self._file, self._schema)
        self._file.seek(0, 2)
        self._writer.write_batch(batch)

    def batches(self) -> Iterator[Any]:
        """Yield the batches that were added so far."""
        import pyarrow as pa

        if self._file is None:
            return
        end = self._file.seek(0, 2)
        self._file.seek(0)
        reader = pa.ipc.open_stream(self._file)
        at = self._file.tell()
        while at < end:
            self._file.seek(at)
            batch = reader.read_next_batch()
            at = self._file.tell()
            yield batch

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()
            self._file = self._writer = None


def _rows_given(source: Any) -> int | None:
    """Return how many rows an object has given; None if it was not read."""
    reference, rows = _rows_of.get(id(source), (None, 0))
    return None if reference is None or reference() is not source else rows


def _note_rows(source: Any, rows: int) -> None:
    key = id(source)
    try:
        reference = weakref.ref(source, lambda _: _rows_of.pop(key, None))
    except TypeError:  # It cannot be referred to weakly.
        return
    _rows_of[key] = reference, rows
