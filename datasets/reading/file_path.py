"""What the readers of files need of a path, local or of an object store."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class FilePath(Protocol):
    """The part of `pathlib.Path` that readers use, and `RemoteFile` has; str() gives its name."""

    @property
    def suffix(self) -> str:
        """The end of the name, from its last point."""
        ...

    @property
    def suffixes(self) -> Sequence[str]:
        """All ends of the name that begin with a point, in order."""
        ...

    @property
    def parts(self) -> Sequence[str]:
        """Names of the folders, and of the file."""
        ...

    def open(self, mode: Any, /) -> IO[bytes]:
        """Open the file to read bytes."""
        ...
