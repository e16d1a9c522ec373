"""Positions that cannot be those of whole lists counted from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .notes import share

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_WITHOUT_FIRST: Final = 0.05
"""Share of lists without a document at position 0, or with a gap, that is worth no note."""

MAX_SHARED: Final = 0.01
"""Share of lists with two documents at one position that is worth no note."""


@dataclass(frozen=True)
class PositionCounts:
    """How the positions of a log's lists look.

    Attributes
    ----------
    lists : int
    lowest : int
        Lowest position in any list.
    without_first : int
        Lists without a document at position 0.
    shared : int
        Lists in which two documents have the same position.
    gaps : int
        Lists in which a position between the first and the last has no document.
    """

    lists: int
    lowest: int
    without_first: int
    shared: int
    gaps: int

    def __add__(self, other: PositionCounts) -> PositionCounts:
        """Return the counts of both logs' lists together."""
        if not (self.lists and other.lists):
            return self if self.lists else other
        return PositionCounts(
            self.lists + other.lists,
            min(self.lowest, other.lowest),
            self.without_first + other.without_first,
            self.shared + other.shared,
            self.gaps + other.gaps,
        )

    @classmethod
    def of(cls, group: NDArray[np.int32], position: NDArray[np.int32]) -> PositionCounts:
        """Count over lists whose sizes are `group`, each ordered by position.

        Examples
        --------
        >>> PositionCounts.of(np.array([3, 2]), np.array([0, 1, 1, 1, 3]))
        PositionCounts(lists=2, lowest=0, without_first=1, shared=1, gaps=1)
        """
        group = group[group > 0]
        if not len(group):
            return cls(0, 0, 0, 0, 0)
        ends = np.cumsum(group)
        starts = ends - group
        step = np.diff(position, prepend=position[0])
        step[starts] = 1
        first = position[starts]
        shared = np.logical_or.reduceat(step == 0, starts)
        gaps = np.logical_or.reduceat(step > 1, starts)
        return cls(
            len(group),
            int(first.min()),
            int(np.count_nonzero(first)),
            int(shared.sum()),
            int(gaps.sum()),
        )


def position_notes(counts: PositionCounts) -> list[str]:
    """Return what to say of positions, and what to do about them."""
    if not counts.lists:
        return []
    notes = []
    part = share(counts.without_first, counts.lists, "lists")
    if counts.lowest > 0:
        advice = (
            "if the log counts from 1, give position_base=1"
            if counts.lowest == 1
            else "log the documents above too, or give positions within the whole list"
        )
        notes.append(
            f"none of {counts.lists:,} lists has a document at position 0; the lowest position is "
            f"{counts.lowest}. Positions count from 0; {advice}"
        )
    elif counts.without_first > MAX_WITHOUT_FIRST * counts.lists:
        notes.append(
            f"{part} have no document at position 0: some may count from 1 (position_base=1), be "
            "later pages, or lack documents that were shown but not logged"
        )
    if counts.shared > MAX_SHARED * counts.lists:
        notes.append(
            f"{share(counts.shared, counts.lists, 'lists')} have two documents at one position. If "
            "every page counts anew, add the offset of the page, or give each page an execution_id"
        )
    if counts.gaps > MAX_WITHOUT_FIRST * counts.lists:
        notes.append(
            f"{share(counts.gaps, counts.lists, 'lists')} have gaps between their positions: "
            "documents that were shown there are not in the log. Log an impression for each"
        )
    return notes
