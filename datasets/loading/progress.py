"""What a long load shows: rows, how many a second, and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._shared.progress import progress_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager


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


def rows_shown(
    description: str, total: int | None
) -> AbstractContextManager[Callable[[float], None]]:
    """Return a context whose function takes numbers of rows; see `progress_shown`.

    `total`: rows in all; None if unknown.
    """
    return progress_shown(description, total, unit="rows")
