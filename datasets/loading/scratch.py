"""A folder for files that are needed while a log is loaded, which goes whatever happens."""

from __future__ import annotations

import errno
import platform
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from ...errors import InvalidInputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "rankloom-load-"
_LOCK: Final = "lock"
_FULL: Final = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextmanager
def scratch_folder(workdir: str | Path | None) -> Iterator[Path]:
    """Make a folder in `workdir`, or where temporary files go, and remove it at the end.

    What loads that were killed left in `workdir` is removed first. Files that are mapped stay
    readable after their folder is gone.

    Raises
    ------
    InvalidInputError
        If the folder cannot be made.
    StoreError
        If the disk becomes full.
    """
    base = Path(tempfile.gettempdir() if workdir is None else workdir).absolute()
    try:
        base.mkdir(parents=True, exist_ok=True)
        _remove_left_over(base)
        folder, lock = _locked_folder(base)
    except OSError as error:
        msg = f"workdir: cannot write to {str(base)!r}: {error.strerror or error}"
        raise InvalidInputError(msg) from error
    try:
        with lock, full_disk_named("workdir", base, folder):
            yield folder
    finally:
        _remove(folder)


@contextmanager
def full_disk_named(parameter: str, base: Path, folder: Path) -> Iterator[None]:
    """Raise `StoreError` for a disk that became full, with what was written to `folder`.

    `parameter`: that names `base`, the folder in which it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        written = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
        msg = (
            f"{parameter}: no space left in {str(base)!r} after {written / 1e9:.2f} GB of files, "
            f"which were removed. Free space, or give {parameter}= on another disk"
        )
        raise StoreError(msg) from error


def _locked_folder(base: Path) -> tuple[Path, IO[bytes]]:
    """Make a folder with a locked file; it gets the name by which others find it when it is locked.

    On a system without such locks nobody removes what a killed load left.
    """
    hidden = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=base))
    lock = (hidden / _LOCK).open("wb")
    with suppress(OSError):
        _lock(lock.fileno())
        return hidden.rename(base / f"{_own_prefix()}{hidden.name[len(PREFIX) + 1 :]}"), lock
    return hidden, lock


def _own_prefix() -> str:
    """Return the prefix of this machine's folders: locks may not be seen by other machines."""
    return f"{PREFIX}{re.sub(r'[^A-Za-z0-9]+', '_', platform.node())}-"


def _remove(folder: Path) -> None:
    """Remove a folder into which other processes may still be writing.

    By its new name they do not find it, so that nothing appears while it is being emptied.
    """
    with suppress(OSError):  # a system that renames no folder whose files are open
        folder = folder.rename(folder.with_name(f"{folder.name}-removed"))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(base: Path) -> None:
    """Remove the folders of this machine's loads that no longer run: nobody holds their locks."""
    for folder in base.glob(f"{_own_prefix()}*"):
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            _lock(lock.fileno())
            shutil.rmtree(folder, ignore_errors=True)


def _lock(descriptor: int) -> None:
    """Lock a file for this process; raises `OSError` if another one has it, or cannot lock."""
    try:
        import fcntl
    except ImportError as error:  # Windows removes no folder whose files are mapped
        raise OSError(errno.ENOSYS, "no file locks") from error
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
