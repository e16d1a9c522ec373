"""Settings of the process that runs the service: garbage collection and freed memory."""

from __future__ import annotations

import ctypes
import gc
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from .log_lines import log_to_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MMAP_THRESHOLD: Final = -3
"""Parameter of glibc's mallopt: the size from which on a block is mapped by itself."""


def collect_garbage_less_often() -> None:
    """Collect less often, and leave out the objects that exist before the first request.

    Requests make few reference cycles; a collection after every 700 objects takes a tenth of the
    service's time. Call it only where the process is the service's own.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def return_freed_memory() -> None:
    """Let glibc return large arrays to the system as soon as they are free.

    By default it keeps freed blocks of up to 32 MB for later ones, in an arena for each thread.
    Other C libraries have no `mallopt` and need none.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 18)


def tune_process() -> None:
    """Do both, for a process that is the service's own and takes requests from now on."""
    collect_garbage_less_often()
    return_freed_memory()


@contextmanager
def worker_process() -> Iterator[Callable[[], object]]:
    """Log as the service does in a worker, and give what is called when it takes requests."""
    with log_to_stderr():
        yield tune_process
