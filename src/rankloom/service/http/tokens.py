"""Bearer tokens: only their SHA-256 is stored."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...errors import InvalidInputError, StoreError, UnreadableSourceError
from .roles import Caller, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "rl_"
RELOAD_SECONDS: Final = 1.0
MAX_FILE_BYTES: Final = 10_000_000
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

logger = logging.getLogger("rankloom.service")


class Tokens:
    """The tokens of a file; it is read again when it changes, at most once a second.

    Parameters
    ----------
    path : path
        Lines of ``sha256-hex namespace role``, and ``name=NAME`` behind it where the token has a
        name; empty lines and lines that begin with # are allowed.

    Raises
    ------
    UnreadableSourceError
        If the file cannot be read.
    InvalidInputError
        Names the line that is wrong, never what it holds.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._stamp = _stamp(self._path)
        self._entries = _read(self._path)
        self._looked = time.monotonic()

    def caller(self, token: str) -> Caller | None:
        """Return the entry of a token, None if there is none."""
        self._renew()
        # How long finding a digest takes says nothing of the tokens: nobody can choose digests.
        return self._entries.get(digest_of(token))

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._looked < RELOAD_SECONDS:
            return
        self._looked = now
        try:
            stamp = _stamp(self._path)
            if stamp == self._stamp:
                return
            self._entries = _read(self._path)
        except (UnreadableSourceError, InvalidInputError) as error:
            # A file that is being edited locks no one out; the next look tries again.
            logger.warning("token file not read, the last good one counts: %s", error)
            return
        self._stamp = stamp


def digest_of(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest().encode()


def add_token(path: str | Path, namespace: str, role: Role | str, name: str | None = None) -> str:
    """Add a new token to a file and return it; nothing can show it again.

    Parameters
    ----------
    path : path
        Made with mode 0600 if it does not exist.
    namespace : str
        1 to 128 letters, digits, ``.``, ``_``, ``:`` or ``-``.
    role : {"ingest", "read", "admin", "metrics"}
    name : str, optional
        Of who has it, for the history of changes: 1 to 64 letters, digits, ``.``, ``_``, ``@`` or
        ``-``.

    Raises
    ------
    InvalidInputError
        If namespace, role or name is wrong.
    StoreError
        If the file cannot be written; it is as it was then.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tokens"
    >>> token = add_token(path, "shop", "ingest", "tracker")
    >>> Tokens(path).caller(token)
    Caller(namespace='shop', role=<Role.INGEST: 'ingest'>, name='tracker')
    """
    if not _NAMESPACE.fullmatch(namespace):
        msg = (
            f"namespace: expected 1 to 128 letters, digits, '.', '_', ':' or '-', got {namespace!r}"
        )
        raise InvalidInputError(msg)
    if role not in set(Role):
        msg = f"role: expected one of {', '.join(Role)}, got {role!r}"
        raise InvalidInputError(msg)
    if name is not None and not _NAME.fullmatch(name):
        msg = f"name: expected 1 to 64 letters, digits, '.', '_', '@' or '-', got {name!r}"
        raise InvalidInputError(msg)
    token = PREFIX + secrets.token_urlsafe(32)
    fields = digest_of(token).decode(), namespace, Role(role), *([f"name={name}"] if name else [])
    line = f"{' '.join(fields)}\n".encode()
    try:
        _append(Path(path), line)
    except OSError as error:
        msg = f"token file {str(path)!r} cannot be written: {error.strerror}; no token was made"
        raise StoreError(msg) from error
    return token


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        with _locked(descriptor):
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # an editor left the last line open
            _write_whole(descriptor, line, size)
    finally:
        os.close(descriptor)


def _write_whole(descriptor: int, line: bytes, size: int) -> None:
    """Write a line to the disk or leave the file as it was: half a line would spoil all of it."""
    try:
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        msg = f"token file {str(path)!r} cannot be read: {error.strerror}"
        raise UnreadableSourceError(msg) from error
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> dict[bytes, Caller]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1).decode("utf-8", "replace")
    except OSError as error:
        msg = f"token file {str(path)!r} cannot be read: {error.strerror}"
        raise UnreadableSourceError(msg) from error
    if len(text) > MAX_FILE_BYTES:
        msg = f"token file {str(path)!r}: expected at most {MAX_FILE_BYTES:,} bytes"
        raise InvalidInputError(msg)
    entries: dict[bytes, Caller] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if content and not content.startswith("#"):
            digest, caller = _entry(content, number, path)
            entries[digest] = caller
    return entries


def _entry(content: str, number: int, path: Path) -> tuple[bytes, Caller]:
    digest, namespace, role, given, *more = [*content.split(), "", "", ""]
    name = given.removeprefix("name=") or digest[:8]
    known = role in set(Role) and given in {"", f"name={name}"} and not any(more)
    if not (
        known
        and _DIGEST.fullmatch(digest)
        and _NAMESPACE.fullmatch(namespace)
        and _NAME.fullmatch(name)
    ):
        msg = (
            f"token file {str(path)!r}, line {number}: expected 'sha256-hex namespace role' with "
            f"one of the roles {', '.join(Role)}, and name=NAME behind it or nothing; `rankloom "
            "token new` writes such lines"
        )
        raise InvalidInputError(msg)
    return digest.encode(), Caller(namespace, Role(role), name)
