"""Files of object stores and web servers, by the URLs that fsspec knows."""

from __future__ import annotations

import glob
import re
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeGuard, cast
from urllib.parse import unquote, urlsplit

from ...errors import RankloomError, UnreadableSourceError
from .lake_folders import refuse_lake_table

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL: Final = re.compile(r"(?:[A-Za-z0-9+.-]+::)*([A-Za-z][A-Za-z0-9+.-]+)://")
_WEB: Final = frozenset({"http", "https"})
_BLOCK_BYTES: Final = 1 << 22
"""Text is read ahead by so much: a request takes as long as the transfer of some megabytes."""

_PACKAGES: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), "adlfs"),
    **dict.fromkeys(_WEB, "aiohttp"),
}
_QUERY: Final = re.compile(r"\?[^\s'\"<>)\]]+")
_USER: Final = re.compile(r"(?<=://)[^/@\s'\"]+@")


def is_url(source: Any) -> TypeGuard[str]:
    """Return whether a source is the URL of a file, a folder or a glob.

    Examples
    --------
    >>> is_url("s3://bucket/log/*.parquet"), is_url("log.csv"), is_url("sqlite:///log.db")
    (True, False, False)
    """
    return isinstance(source, str) and _protocol(source) not in {"", "sqlite"}


def remote_files(url: str, parameter: str) -> list[RemoteFile | Path]:
    """Return the file of a URL, those in its folder, or those that match its glob, in order.

    Credentials and addresses of servers are those of the environment and of fsspec's configuration.
    Files and folders whose names begin with a dot or an underscore are left out of folders.

    Raises
    ------
    UnreadableSourceError
        If there is no such file, it may not be read, or a package for the protocol is missing.
    """
    if _protocol(url) == "file" and "::" not in url:
        return [Path(unquote(urlsplit(url).path))]
    name = public_url(url)
    system, path = _file_system(url, name, parameter)
    if _protocol(url) in _WEB:
        # A question mark begins the query there, and folders cannot be listed.
        return [RemoteFile(system, path, name)]
    with remote_errors(name):
        # Listings are remembered by fsspec: files that were added since would be missed.
        system.invalidate_cache()
        if (found := _paths(system, path, name)) == [path]:
            return [RemoteFile(system, path, name)]
        return [RemoteFile(system, each, system.unstrip_protocol(each)) for each in found]


def public_url(url: str) -> str:
    """Return a URL without what may be secret: the user, the password and the query.

    Examples
    --------
    >>> public_url("https://user:pass@host/log.csv?signature=1f3a")
    'https://host/log.csv'
    """
    shown = _USER.sub("", url)
    return _QUERY.sub("", shown) if _protocol(url) in _WEB else shown


def _protocol(url: str) -> str:
    found = _URL.match(url)
    return found[1].lower() if found else ""


def _file_system(url: str, name: str, parameter: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        msg = f"{parameter}: {name!r} is a URL, which needs fsspec: pip install 'rankloom[cloud]'"
        raise UnreadableSourceError(msg) from None
    protocol = _protocol(url)
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        package = _PACKAGES.get(protocol, "another package")
        advice = "rankloom[cloud]" if package == "s3fs" else package
        msg = f"{parameter}: {name!r} needs {package}: pip install '{advice}' ({error})"
        raise UnreadableSourceError(msg) from error
    except ValueError as error:
        msg = (
            f"{parameter}: {name!r} cannot be read: {error}. Give a path, or a URL of a protocol "
            "that fsspec knows, such as s3://, gs://, abfs:// or https://"
        )
        raise UnreadableSourceError(msg) from error
    return system, path


def _paths(system: Any, path: str, name: str) -> list[str]:
    try:
        kind = system.info(path)["type"]
    except FileNotFoundError:
        if not glob.has_magic(path):
            raise
        found = system.glob(path, detail=True)
        files = sorted(each for each, info in found.items() if info["type"] == "file")
        if not files:
            msg = f"{name}: no file matches"
            raise UnreadableSourceError(msg) from None
        return files
    if kind == "file":
        return [path]
    files = sorted(system.find(path))
    below = {file: PurePosixPath(file).relative_to(path).parts for file in files}
    refuse_lake_table(name, ["/".join(parts) for parts in below.values()])
    shown = [file for file in files if not any(p.startswith((".", "_")) for p in below[file])]
    if not shown:
        msg = f"{name}: the folder holds no file"
        raise UnreadableSourceError(msg)
    return shown


class RemoteFile:
    """A file behind a URL.

    Parameters
    ----------
    system : fsspec.AbstractFileSystem
    path : str
        In the file system.
    name : str
        The URL without secrets.
    """

    def __init__(self, system: Any, path: str, name: str) -> None:
        self._system, self._path, self._name = system, path, name
        self._pure = PurePosixPath(urlsplit(name).path)

    def __str__(self) -> str:
        return self._name

    @property
    def suffix(self) -> str:
        """The end of the name, from its last point."""
        return self._pure.suffix

    @property
    def suffixes(self) -> list[str]:
        """All ends of the name that begin with a point, in order."""
        return self._pure.suffixes

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the folders, and of the file."""
        return self._pure.parts

    def open(self, mode: str = "rb", /) -> IO[bytes]:
        """Open the file to be read from its beginning to its end."""
        return self._opened(mode, cache_type="readahead", block_size=_BLOCK_BYTES)

    def open_for_ranges(self) -> IO[bytes]:
        """Open the file to read the bytes that are asked for, and no others."""
        return self._opened("rb", cache_type="none")

    @property
    def size(self) -> int:
        """Bytes."""
        with remote_errors(self._name):
            return int(self._system.info(self._path)["size"])

    def _opened(self, mode: str, **options: Any) -> IO[bytes]:
        with remote_errors(self._name):
            return cast(IO[bytes], _Reader(self._system.open(self._path, mode, **options), self))


class _Reader:
    """An open file whose errors name the file and no secrets."""

    def __init__(self, file: Any, path: RemoteFile) -> None:
        self._file, self._name = file, str(path)
        self.closed = False

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, all the rest if it is negative."""
        with remote_errors(self._name):
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place in the file."""
        with remote_errors(self._name):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the place in the file."""
        return int(self._file.tell())

    def close(self) -> None:
        """Let go of the file."""
        self.closed = True
        self._file.close()

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return True."""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@contextmanager
def remote_errors(name: str) -> Iterator[None]:
    """Turn what fsspec and its packages raise into `UnreadableSourceError` without secrets."""
    try:
        yield
    except RankloomError:
        raise
    except Exception as error:  # noqa: BLE001 - each protocol's package has its own
        lines = str(error).strip().splitlines() or [""]
        text = _QUERY.sub("", _USER.sub("", lines[0]))[:300]
        kind = type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = f"there is no such file ({text})"
        elif isinstance(error, PermissionError) or "Credentials" in kind:
            reason = f"access is denied ({text}). Check the credentials in the environment"
        else:
            reason = f"cannot be read: {kind}: {text}"
        msg = f"{name}: {reason}"
        # The error of a signed URL shows its signature.
        cause = error if text == lines[0] else None
        raise UnreadableSourceError(msg) from cause
