"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
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


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
