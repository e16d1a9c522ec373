"""Text files as blocks of complete lines: plain, gzip or Zstandard, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import zstandard

from ...errors import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_path import FilePath

BLOCK_BYTES: Final = 16_000_000
"""Text that is parsed at once."""

_GZIP: Final = b"\x1f\x8b"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
MAGIC: Final = {
    _GZIP: "gzip-compressed; name it with .gz at the end",
    _ZSTANDARD: "Zstandard-compressed; name it with .zst at the end",
    b"PAR1": "a Parquet file; name it with .parquet at the end",
    b"PK\x03\x04": "a ZIP archive; unpack it first",
}
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
BOM: Final = b"\xef\xbb\xbf"
# Zstandard can blow up its input by ten thousand; small bites bound what one bite becomes.
_ZSTD_BITE: Final = 8_192


class Bytes(Protocol):
    """The part of a binary file that is used here."""

    def read(self, size: int, /) -> bytes:
        """Return at most about `size` bytes; empty at the end."""
        ...


@dataclass(frozen=True)
class Lines:
    """Complete lines of a file.

    Attributes
    ----------
    data : bytes
        The last line of a file may lack its newline.
    first : int
        Number of the first line, from 1.
    cut : bool
        Whether this is the beginning of a line too long to be held, the rest of which was skipped.
    """

    data: bytes
    first: int
    cut: bool = False


def check_text(path: FilePath) -> None:
    """Refuse UTF-16, and a file that is not what its name says.

    Without a suffix it may be compressed.
    """
    with text_errors(str(path)), path.open("rb") as file:
        head = file.read(4)
    with text_errors(str(path)), open_text(path) as file:
        start = file.read(4)
    # Without a mark, UTF-16 shows by the zero in every second byte of plain text.
    if start.startswith(_UTF16) or (start.count(b"\0") == 2 and 0 in (start[0], start[1])):
        msg = f"{path}: this is UTF-16; convert it, as by iconv -f UTF-16 -t UTF-8"
        raise UnreadableSourceError(msg)
    if not path.suffix:
        return
    expected = {".gz": _GZIP, ".zst": _ZSTANDARD}.get(path.suffix.lower())
    if expected is not None:
        if head and not head.startswith(expected):
            msg = f"{path}: not compressed as its name says: it starts with {head!r}"
            raise UnreadableSourceError(msg)
        return
    for magic, what in MAGIC.items():
        if head.startswith(magic):
            msg = f"{path}: this is {what}"
            raise UnreadableSourceError(msg)


@contextmanager
def open_text(path: FilePath) -> Iterator[Bytes]:
    """Open a file for its uncompressed bytes."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head.startswith(_GZIP):
            yield gzip.GzipFile(fileobj=file)
        else:
            yield _Zstandard(file, str(path)) if head.startswith(_ZSTANDARD) else file


@contextmanager
def text_errors(name: str) -> Iterator[None]:
    """Turn what reading and decompressing raise into `UnreadableSourceError`."""
    try:
        yield
    except UnreadableSourceError:
        raise
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        msg = f"{name}: cannot be read: {error}"
        raise UnreadableSourceError(msg) from error


def line_blocks(file: Bytes, limit: int) -> Iterator[Lines]:
    """Yield blocks of about `BLOCK_BYTES` of complete lines.

    A line that is longer than `limit` and than a block is skipped to its end and yielded by its
    beginning, marked as `cut`.
    """
    carry, line, begun = b"", 1, False
    while True:
        chunk = file.read(BLOCK_BYTES)
        data = carry + (chunk if begun else chunk.removeprefix(BOM))
        begun = True
        if not chunk:
            break
        end = data.rfind(b"\n") + 1
        if end:
            yield Lines(data[:end], line)
            line += data.count(b"\n", 0, end)
        carry = data[end:]
        if len(carry) > limit:
            yield Lines(carry[:1_000], line, cut=True)
            carry = _after_newline(file)
            line += 1
    if carry:
        yield Lines(carry, line)


def _after_newline(file: Bytes) -> bytes:
    while chunk := file.read(BLOCK_BYTES):
        _, newline, rest = chunk.partition(b"\n")
        if newline:
            return rest
    return b""


class _Zstandard:
    """A reader that notices a cut-off file; the library's own one ends without a word."""

    def __init__(self, file: Bytes, name: str) -> None:
        self._file, self._name = file, name
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""
        self._open = False

    def read(self, size: int, /) -> bytes:
        """Return at least `size` bytes unless the file ends."""
        parts, held = [], 0
        while held < size:
            bite = self._rest or self._file.read(_ZSTD_BITE)
            if not bite:
                self._check_end()
                break
            parts.append(self._decompress(bite))
            held += len(parts[-1])
        return b"".join(parts)

    def _decompress(self, bite: bytes) -> bytes:
        data = self._frame.decompress(bite)
        self._rest, self._open = b"", True
        if self._frame.eof:
            self._rest, self._open = self._frame.unused_data, False
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return data

    def _check_end(self) -> None:
        if self._open:
            msg = f"{self._name}: the compressed file is cut off"
            raise UnreadableSourceError(msg)
