"""What a long fit shows: its rounds, and log lines instead of warnings."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..._shared.progress import Progress, nothing, progress_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Progress", "logger", "progress_bar", "progress_callback", "warnings_logged"]

logger = logging.getLogger("rankloom")


@contextmanager
def progress_callback(
    progress: Progress, rounds: int, description: str = "Growing trees"
) -> Iterator[list[Callable[[Any], None]]]:
    """Yield the LightGBM callbacks that show the rounds: one, or none where nothing is shown."""
    with progress_shown(description, rounds, progress=progress) as advance:
        yield [] if advance is nothing else [lambda _: advance(1)]


@contextmanager
def progress_bar(progress: Progress, text: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes how many of `total` are done by now."""
    last = 0

    def show(done: int) -> None:
        nonlocal last
        advance(done - last)
        last = done

    with progress_shown(text, total, progress=progress) as advance:
        yield show


@contextmanager
def warnings_logged() -> Iterator[None]:
    """Send the warnings raised inside to the log: a fit that works must not warn its caller."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        logger.warning("LightGBM: %s", warning.message)
