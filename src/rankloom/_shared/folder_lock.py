"""A lock on a folder, between processes; it ends with the process that holds it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked_folder(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock on a folder, which others share where none of them is exclusive.

    Where the system or the disk has no locks, nothing is locked.
    """
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):  # Windows, or a folder that may not be listed
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
