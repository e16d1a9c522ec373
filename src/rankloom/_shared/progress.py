"""What takes long shows how far it is: a bar on a terminal, a line of text in a notebook.

One rule for all: with "auto" it is shown from the second second on, and only where a person looks,
that is on a terminal or in a notebook; True shows it at once, as lines where there is neither;
False never. The
environment variable ``RANKLOOM_PROGRESS`` set to ``off`` or ``on`` decides for "auto"; within
`progress_set` that setting does. What is shown goes to stderr and is removed at the end. Within
work that shows its progress already, other work shows none.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Progress = bool | Literal["auto"]
Where = Literal["terminal", "notebook", "file"]

VARIABLE: Final = "RANKLOOM_PROGRESS"
DELAY: Final = 2.0
"""Seconds before "auto" shows anything."""

_INTERVAL: Final = {"terminal": 0.1, "notebook": 0.5, "file": 10.0}
_shown = threading.Lock()
_setting: ContextVar[Progress] = ContextVar("progress", default="auto")


class _Line(Protocol):
    """What draws: it is given how much is done, and ends."""

    def update(self, done: float, seconds: float) -> None: ...

    def close(self) -> None: ...


@contextmanager
def progress_shown(
    description: str, total: float | None = None, *, unit: str = "", progress: Progress = "auto"
) -> Iterator[Callable[[float], None]]:
    """Yield a function that takes how much was done since its last call.

    Parameters
    ----------
    description : str
        What is done, such as ``"Reading"``.
    total : float or None
        How much there is to do; None if unknown.
    unit : str
        Of both, such as ``"rows"``; the rate is shown then.
    progress : bool or "auto"

    Raises
    ------
    InvalidInputError
        If `progress` is none of the three.

    Examples
    --------
    >>> with progress_shown("Reading", 3, unit="rows", progress=False) as advance:
    ...     advance(2)
    """
    where = _where(progress)
    if where is None or not _shown.acquire(blocking=False):
        yield nothing
        return
    at_once = progress is True or _setting.get() is True
    meter = _Meter(where, _Text(description, total, unit), 0.0 if at_once else DELAY)
    try:
        yield meter.advance
    finally:
        meter.close()
        _shown.release()


@contextmanager
def progress_set(progress: Progress) -> Iterator[None]:
    """Let "auto" mean `progress` for all work inside.

    Examples
    --------
    >>> with progress_set(False):
    ...     list(tracked("ab", "Reading", 2))
    ['a', 'b']
    """
    _checked(progress)
    token = _setting.set(progress)
    try:
        yield
    finally:
        _setting.reset(token)


def tracked(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
    """Yield the items, and show how many of them are done.

    Examples
    --------
    >>> sum(tracked(range(4), "Adding", 4))
    6
    """
    with progress_shown(description, total) as advance:
        for item in items:
            yield item
            advance(1)


class _Text:
    """The words of a progress.

    >>> _Text("Reading", 2000, "rows").of(500, 2.0)
    'Reading: 500 of 2,000 rows, 250 a second'
    """

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self.description, self.total, self.unit = description, total or None, unit

    def of(self, done: float, seconds: float) -> str:
        """Return the line for what was done in some seconds."""
        of_all = "" if self.total is None else f" of {self.total:,.0f}"
        unit = f" {self.unit}, {done / max(seconds, 1e-9):,.0f} a second" if self.unit else ""
        return f"{self.description}: {done:,.0f}{of_all}{unit}"


class _Meter:
    """Adds up what is done, and draws it now and then."""

    def __init__(self, where: Where, text: _Text, delay: float) -> None:
        self._where: Where = where
        self._text = text
        self._done, self._start = 0.0, time.monotonic()
        self._next = self._start + delay
        self._line: _Line | None = None

    def advance(self, amount: float) -> None:
        self._done += amount
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL[self._where]
        if self._line is None:
            self._line = _LINES[self._where](self._text)
        self._line.update(self._done, now - self._start)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()


class _TerminalLine:
    """A bar of rich on stderr."""

    def __init__(self, text: _Text) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        console = Console(stderr=True)
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._text = text
        self._task = self._bar.add_task(text.description, total=text.total)
        self._bar.start()

    def update(self, done: float, seconds: float) -> None:
        text = self._text.of(done, seconds)
        self._bar.update(self._task, completed=done, description=text)

    def close(self) -> None:
        self._bar.stop()


class _NotebookLine:
    """A line of text below the cell, renewed in place and empty at the end."""

    def __init__(self, text: _Text) -> None:
        from IPython.display import display

        self._text = text
        first = {"text/plain": text.description}
        shown = display(first, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        self._handle: Any = shown

    def update(self, done: float, seconds: float) -> None:
        self._handle.update({"text/plain": self._text.of(done, seconds)}, raw=True)

    def close(self) -> None:
        self._handle.update({"text/plain": ""}, raw=True)


class _FileLine:
    """Lines on a stderr that is no terminal, such as that of a job: one every ten seconds."""

    def __init__(self, text: _Text) -> None:
        self._text = text

    def update(self, done: float, seconds: float) -> None:
        sys.stderr.write(f"{self._text.of(done, seconds)}\n")

    def close(self) -> None:
        """Leave the lines."""


_LINES: Final[dict[Where, Callable[[_Text], _Line]]] = {
    "terminal": _TerminalLine,
    "notebook": _NotebookLine,
    "file": _FileLine,
}


def _where(progress: Progress) -> Where | None:
    """Return where to show progress; None: nowhere."""
    progress = _setting.get() if _checked(progress) == "auto" else progress
    setting = os.environ.get(VARIABLE, "") if progress == "auto" else "on" if progress else "off"
    if setting == "off":
        return None
    if _in_notebook():
        return "notebook"
    if _is_terminal():
        return "terminal"
    return "file" if setting == "on" else None


def _checked(progress: Progress) -> Progress:
    if progress not in (True, False, "auto"):
        msg = f"progress: expected True, False or 'auto', got {progress!r}"
        raise InvalidInputError(msg)
    return progress


def _is_terminal() -> bool:
    return sys.stderr.isatty()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def nothing(_: float) -> None:
    """Show nothing."""
