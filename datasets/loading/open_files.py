"""How many files a process may hold open while it writes partitions."""

from __future__ import annotations

import os
from typing import Any, Final

from ..._shared.checks import checked_number
from ...errors import InvalidInputError

MAX_PARTITIONS: Final = 512
"""Files that are open at once, within the usual limit of a process."""

PARTITIONS_OF_UNKNOWN: Final = 64
"""How many there are where nothing says how many rows there are before they are read."""

_OTHERS: Final = 32
"""Files that are opened meanwhile, such as those that are read, and modules."""


def check_partitions(partitions: Any) -> None:
    """Raise `InvalidInputError` for what is no number of partitions.

    Examples
    --------
    >>> check_partitions(4)
    """
    checked_number("partitions", partitions, 1, MAX_PARTITIONS, whole=True)


def allow_open_files(files: int) -> None:
    """Raise this process's soft limit of open files where it is too low; it stays raised.

    `files`: how many are opened in addition to those that are open. Where a system has no such
    limit, as Windows, nothing happens.

    Raises
    ------
    InvalidInputError
        If the hard limit is too low.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = _open_now()
    needed = open_now + files + _OTHERS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError) as error:
        msg = (
            f"partitions: {files:,} files are written at once while {open_now:,} others are open; "
            f"this process may open {hard:,} (RLIMIT_NOFILE, the hard limit). Raise that limit "
            "(`ulimit -Hn`), or give fewer partitions=, or a larger memory_limit= where that "
            "decides their number"
        )
        raise InvalidInputError(msg) from error


def _open_now() -> int:
    """Return how many files this process has open; 0 where the system does not list them."""
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - names alone: the files need not exist
    except OSError:
        return 0
