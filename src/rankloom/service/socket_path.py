"""A unix socket at a path, of one service at a time."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def listen_on_path(path: str | Path) -> Iterator[socket.socket]:
    """Bind a socket of the machine to a path, for its owner and group; take the path away later.

    The file PATH.lock is locked meanwhile, from before the socket is there until after it is gone.
    It stays, empty: were it removed, two services could lock two files of that name.

    Raises
    ------
    InvalidInputError
        If another service has the path, something else is there, another process listens, or the
        path cannot be made.
    """
    path = Path(path)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(_locked(path))
            listening = held.enter_context(_bound(path))
        except OSError as error:
            msg = f"--unix-socket: cannot listen on {str(path)!r}: {error.strerror or error}"
            raise InvalidInputError(msg) from error
        yield listening


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    lock = f"{path}.lock"
    descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o660)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = (
                f"--unix-socket: cannot listen on {str(path)!r}: another service runs or starts "
                f"there and holds {lock!r}; stop it first, or choose another path"
            )
            raise InvalidInputError(msg) from error
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        # With the lock held, no service is between binding and listening.
        if path.is_socket() and not _is_answered(path):
            path.unlink()  # a process that was killed has left it
        listening.bind(str(path))
        own = path.lstat()
        try:
            path.chmod(0o660)
            yield listening
        finally:
            _remove(path, own)


def _remove(path: Path, own: os.stat_result) -> None:
    """Remove the socket, unless something else has been put in its place."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), own):
            path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True
