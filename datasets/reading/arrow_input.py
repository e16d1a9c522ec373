"""Arrow batches from anywhere, and how often they can be read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import RankloomError, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence


class ArrowInput(Protocol):
    """Where Arrow batches come from.

    Attributes
    ----------
    name : str
        For messages.
    schema : pyarrow.Schema
        Of all columns.
    rows : int or None
        Number of rows, if known before reading.
    once : bool
        Whether the batches can be read only once.
    """

    name: str
    schema: Any
    rows: int | None
    once: bool

    def look(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of batches that are still to be read."""
        ...

    def batches(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of all batches.

        Raises
        ------
        InvalidInputError
            If they can be read only once and were.
        """
        ...


class RepeatedInput:
    """What starts to read anew each time.

    Parameters
    ----------
    name : str
    schema : pyarrow.Schema
    start : callable
        From names of columns to batches, which may hold further columns.
    rows : int, optional
    """

    once = False

    def __init__(
        self,
        name: str,
        schema: Any,
        start: Callable[[Sequence[str]], Iterable[Any]],
        rows: int | None = None,
    ) -> None:
        self.name, self.schema, self.rows = name, schema, rows
        self._start = start

    def look(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of all batches."""
        return self.batches(columns)

    def batches(self, columns: Sequence[str]) -> Generator[Any, None, None]:
        """Yield the given columns of all batches; what gives them is closed at the end."""
        with stream_errors(self.name):
            started = self._start(columns)
        try:
            yield from selected(iter(started), columns, self.name)
        finally:
            close_reader(started)


def selected(batches: Iterator[Any], columns: Sequence[str], name: str) -> Iterator[Any]:
    """Yield the given columns of batches."""
    while True:
        with stream_errors(name):
            batch = next(batches, None)
            if batch is not None:
                batch = batch.select(list(columns))
        if batch is None:
            return
        yield batch


def close_reader(batches: Any) -> None:
    """Let go of what gives batches: a half-read result of a query occupies its connection."""
    close = getattr(batches, "close", None)
    if callable(close):
        close()


@contextmanager
def stream_errors(name: str) -> Iterator[None]:
    """Turn what any library raises while it opens or reads into `UnreadableSourceError`."""
    try:
        yield
    except RankloomError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        msg = f"{name}: cannot be read: {type(error).__name__}: {lines[0][:300]}"
        raise UnreadableSourceError(msg) from error
