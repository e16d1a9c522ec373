"""How far a copy has come, on disk: an interrupted one goes on without loss or repeats."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ...._shared.atomic_files import write_whole
from ....errors import InvalidInputError, StoreError
from .pagination import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = "rankloom.copy/1"


class Progress(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a resume file."""

    source: dict[str, str | None]  # what is copied: address, namespace, filters
    target: str  # where to
    timestamp: str | None = None  # latest time of recording that is copied
    ids: list[str] = []  # interactions of that time
    lines_bytes: int = 0  # length of the file of lines that holds the rows so far
    format: str = FORMAT

    @property
    def mark(self) -> Mark:
        """Where reading goes on."""
        return Mark(self.timestamp, frozenset(self.ids))

    def reach(self, mark: Mark) -> None:
        """Take over how far reading has come."""
        self.timestamp, self.ids = mark.timestamp, sorted(mark.ids)


def read_progress(path: Path | None, fresh: Progress) -> Progress:
    """Return what the resume file holds; `fresh` if there is none.

    Raises InvalidInputError if the file is of another copy, or no resume file.
    """
    if path is None or not path.exists():
        return fresh
    try:
        progress = msgspec.json.decode(path.read_bytes(), type=Progress)
    except (OSError, ValueError) as error:
        msg = f"resume: {str(path)!r} is no file of an interrupted copy: {error}"
        raise InvalidInputError(msg) from error
    if (progress.format, progress.source, progress.target) != (
        fresh.format,
        fresh.source,
        fresh.target,
    ):
        msg = (
            f"resume: {str(path)!r} belongs to a copy of {progress.source} to {progress.target!r}; "
            f"this one is of {fresh.source} to {fresh.target!r}. Name another file"
        )
        raise InvalidInputError(msg)
    return progress


def write_progress(path: Path | None, progress: Progress) -> None:
    """Replace the resume file, whole or not at all; nothing where there is none.

    Raises StoreError if it cannot be written.
    """
    if path is None:
        return
    data = msgspec.json.encode(progress)
    try:
        write_whole(path, lambda name: Path(name).write_bytes(data))
    except OSError as error:
        msg = f"resume: {str(path)!r} cannot be written: {error}"
        raise StoreError(msg) from error


class LinesFile:
    """A file of JSON lines that grows page by page and can be cut back to a known length.

    `length`: bytes that are whole; what an interrupted run wrote after them is cut off. Raises
    StoreError if the file cannot be written, or is shorter than that.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        try:
            self._file = path.open("r+b" if length else "wb")
            size = self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._failed(error) from error
        if size < length:
            self._file.close()
            msg = f"{path}: holds {size:,} bytes of the {length:,} that the resume file names"
            raise StoreError(msg)
        self._file.truncate(length)
        self._file.seek(length)

    def append(self, rows: Iterable[Any]) -> int:
        """Write rows down to the disk and return the file's length."""
        try:
            self._file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _failed(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path}: cannot be written: {error}")
