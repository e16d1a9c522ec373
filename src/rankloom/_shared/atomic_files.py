"""Files that are written whole or not at all."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


TEMPORARY: Final = ".rankloom-"
"""Prefix of unfinished files; a killed process may leave one behind."""


def write_whole(path: str | Path, write: Callable[[str], object]) -> None:
    """Let `write` fill a temporary file, then rename it to `path`: readers see the old or the new.

    `path`: an existing file is replaced. `write`: gets the name of the file to fill. Raises OSError
    if the folder does not exist or cannot be written.
    """
    target = Path(path)
    # In the same folder, because a rename is atomic within one file system only.
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(name)
        temporary.chmod(0o666 & ~umask())
        flush_file(temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def mapped(path: str | Path) -> mmap.mmap | bytes:
    """Return a file's bytes, mapped: a later `write_whole` does not change them.

    Raises OSError if it cannot be read.
    """
    with Path(path).open("rb") as file:
        empty = not os.fstat(file.fileno()).st_size
        return b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def flush_file(path: Path) -> None:
    """Make the content of a file survive a loss of power."""
    with path.open("rb") as written:
        os.fsync(written.fileno())


def flush_folder(path: Path) -> None:
    """Make renames within a folder survive a loss of power, where the system can do that."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def umask() -> int:
    """Return the process's file mode mask: tempfile ignores it, a shared folder should not."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
