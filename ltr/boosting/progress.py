"""What a long fit shows: a progress bar on a terminal, and log lines instead of warnings."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("rankloom")

Progress = bool | Literal["auto"]


@contextmanager
def progress_callback(progress: Progress, rounds: int) -> Iterator[list[Callable[[Any], None]]]:
    """Yield the LightGBM callbacks that draw the bar: one, or none without a terminal."""
    with progress_bar(progress, "Growing trees", rounds) as show:
        if show is _hide:
            yield []
        else:
            yield [lambda env: show(env.iteration - env.begin_iteration + 1)]


@contextmanager
def progress_bar(progress: Progress, text: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes how many of `total` are done, and draws a bar where wanted."""
    if not _wanted(progress):
        yield _hide
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.update(task, completed=done)


def _hide(_done: int) -> None:
    pass


def _wanted(progress: Progress) -> bool:
    if progress not in (True, False, "auto"):
        msg = f"progress: expected True, False or 'auto', got {progress!r}"
        raise InvalidInputError(msg)
    return sys.stderr.isatty() if progress == "auto" else bool(progress)


@contextmanager
def warnings_logged() -> Iterator[None]:
    """Send the warnings raised inside to the log: a fit that works must not warn its caller."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        logger.warning("LightGBM: %s", warning.message)
