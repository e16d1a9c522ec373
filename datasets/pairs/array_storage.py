"""Where the arrays of training pairs lie: in memory, or in files that are mapped."""

from __future__ import annotations

import itertools
import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import DTypeLike, NDArray

    Gather = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[Any]]
    """Returns rows of an array by their numbers."""


_ROWS_AT_ONCE: Final = 4_096
_PAGES_AT_ONCE: Final = 1 << 18


class ArrayWriter(Protocol):
    """An array that is filled from its start, chunk by chunk."""

    def write(self, chunk: NDArray[Any]) -> None:
        """Append a chunk."""
        ...

    def finish(self) -> NDArray[Any]:
        """Return the whole array, once all was written."""
        ...


class ArrayStorage(Protocol):
    """Makes arrays, and series of text, of a known length."""

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> ArrayWriter:
        """Return the writer of an array."""
        ...

    def texts(self, name: str, chunks: Iterable[pl.Series]) -> pl.Series:
        """Return the series that chunks of text make together."""
        ...


class InMemory:
    """Arrays in memory."""

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> ArrayWriter:
        """Return the writer of an array."""
        del name
        return _MemoryWriter(np.empty(shape, dtype))

    def texts(self, name: str, chunks: Iterable[pl.Series]) -> pl.Series:
        """Return the series that chunks of text make together."""
        return pl.concat([pl.Series(name, dtype=pl.String), *chunks], rechunk=True).alias(name)


class OnDisk:
    """Arrays in files of a folder, mapped: pages are read when they are used.

    What is changed in such an array stays in memory, and does not change its file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()

    def array(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> ArrayWriter:
        """Return the writer of an array."""
        # A file that is mapped must not be written again: each array has one of its own.
        path = self.folder / f"{next(self._numbers)}-{name}.bin"
        return _FileWriter(path, np.dtype(dtype), shape)

    def texts(self, name: str, chunks: Iterable[pl.Series]) -> pl.Series:
        """Return the series that chunks of text make together."""
        path = self.folder / f"{name}.arrow"
        write_texts(path, name, chunks)
        return read_texts(path, name)


class _MemoryWriter:
    def __init__(self, array: NDArray[Any]) -> None:
        self._array, self._used = array, 0

    def write(self, chunk: NDArray[Any]) -> None:
        self._array[self._used : self._used + len(chunk)] = chunk
        self._used += len(chunk)

    def finish(self) -> NDArray[Any]:
        return self._array


class _FileWriter:
    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self._path, self._dtype, self._shape = path, dtype, shape
        self._file = path.open("wb")

    def write(self, chunk: NDArray[Any]) -> None:
        if chunk.size:
            self._file.write(np.ascontiguousarray(chunk, self._dtype).data.cast("B"))

    def finish(self) -> NDArray[Any]:
        self._file.close()
        return mapped_array(self._path, self._dtype, self._shape)


def mapped_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a file as an array; raises `OSError` or `ValueError` if it is not of that size."""
    if 0 in shape:
        return np.empty(shape, dtype)
    with path.open("rb") as file:
        memory = _MappedFile(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return np.frombuffer(memory, dtype).reshape(shape)


class _MappedFile(mmap.mmap):
    """Memory whose content can be read again from a file, unlike that of an anonymous map."""


def _mapped_file_of(array: NDArray[Any]) -> _MappedFile | None:
    """Return the mapped file in which an array lies; None where it lies in memory."""
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    return base if isinstance(base, _MappedFile) else None


def is_mapped(array: NDArray[Any]) -> bool:
    """Return whether an array lies in a mapped file."""
    return _mapped_file_of(array) is not None


def unchanged_files(*arrays: NDArray[Any]) -> list[mmap.mmap]:
    """Return the files behind mapped arrays, without those that were written to.

    What was written to a mapped array is in memory alone. Where the system does not say whether
    there is anything, none is returned.
    """
    found = {id(memory): memory for memory in map(_mapped_file_of, arrays) if memory is not None}
    return [memory for memory in found.values() if not _is_changed(memory)]


def _is_changed(memory: _MappedFile) -> bool:
    """Return whether a page is no longer that of the file; True where it is not known.

    Bits 61 to 63 of a page in Linux's /proc/self/pagemap: of a file, swapped, in memory.
    """
    first = np.frombuffer(memory, np.uint8).__array_interface__["data"][0] // mmap.PAGESIZE
    pages = -(-len(memory) // mmap.PAGESIZE)
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as file:
            file.seek(8 * first)
            for start in range(0, pages, _PAGES_AT_ONCE):
                count = min(_PAGES_AT_ONCE, pages - start)
                state = np.frombuffer(file.read(8 * count), np.uint64) >> np.uint64(61)
                if len(state) < count or ((state > 1) & (state % 2 == 0)).any():
                    return True
    except OSError:
        return True
    return False


def give_back(files: Iterable[mmap.mmap]) -> None:
    """Give the memory of mapped files back until they are read again; see `unchanged_files`."""
    if hasattr(mmap, "MADV_DONTNEED"):
        for memory in files:
            memory.madvise(mmap.MADV_DONTNEED)


def release(*arrays: NDArray[Any]) -> None:
    """Give the memory of mapped arrays back until they are used again.

    Arrays in memory, and mapped ones that were written to, stay as they are.
    """
    give_back(unchanged_files(*arrays))


def gathered(array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows of an array, of a mapped one in parts, whose memory is given back; see `release`.

    A row brings in the 64 kB around it: few rows from everywhere in a file bring in all of it.
    """
    if not is_mapped(array):
        taken: NDArray[Any] = array[rows]
        return taken
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    files = unchanged_files(array)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[part] = array[rows[part]]
        give_back(files)
    return found


def write_texts(path: Path, name: str, chunks: Iterable[pl.Series]) -> None:
    """Write a column of text as an Arrow file."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.string_view())])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for chunk in chunks:
            column = chunk.rechunk().to_arrow()
            writer.write_batch(pa.record_batch([column.cast(pa.string_view())], schema=schema))


def read_texts(path: Path, name: str) -> pl.Series:
    """Return a column of text, mapped."""
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return pl.Series(name, table[name])
