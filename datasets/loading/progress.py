"""What a long load shows on a terminal: rows a second, and the time left."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def rows_in_all(counts: Iterable[int | None]) -> int | None:
    """Return the sum of the rows of several sources; None where one does not know them.

    Examples
    --------
    >>> rows_in_all([2, 3]), rows_in_all([2, None])
    (5, None)
    """
    total = 0
    for rows in counts:
        if rows is None:
            return None
        total += rows
    return total


@contextmanager
def rows_shown(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that takes numbers of rows; without a terminal it shows nothing.

    `total`: rows in all; None if unknown.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows, {task.fields[rate]:,.0f} a second"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total or None, rate=0)

        def advance(rows: int) -> None:
            shown = bar.tasks[0]
            done = shown.completed + rows
            bar.update(task, advance=rows, rate=done / max(shown.elapsed or 0, 1e-9))

        yield advance
