"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


TEMPORARY: Final = ".rankloom-"
"""How the names of unfinished files begin; a killed process may leave one behind."""


def write_whole(path: str | Path, write: Callable[[str], object]) -> None:
    """Let `write` fill a neighbour of `path`, then rename it: readers see the old file or the new.

    Parameters
    ----------
    path : path
        An existing file is replaced.
    write : callable
        Gets the name of the file to fill.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    target = Path(path)
    # In the same folder, because a rename is atomic within one file system only.
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=target.parent)
    os.close(handle)
    neighbour = Path(name)
    try:
        write(name)
        neighbour.chmod(0o666 & ~_umask())
        with neighbour.open("rb") as written:
            os.fsync(written.fileno())
        neighbour.replace(target)
    except BaseException:
        neighbour.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def flush_folder(path: Path) -> None:
    """Make renames within a folder survive a loss of power, where the system can do that."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's file mode mask: mkstemp ignores it, a shared folder should not."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
