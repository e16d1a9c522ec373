"""Rows of a log on their way to partitions, and what is counted meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from ..pairs.fold import NO_TIME
from ..pairs.row_reader import refuse_unplaced
from ..record.times import microseconds
from .shared_texts import OF_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..pairs.row_reader import RowReader
    from ..reading.scan import Positions
    from ..reading.scan_counts import ScanCounts
    from .row_files import RowFiles
    from .settings import LoadSettings
    from .shared_texts import SharedTexts


def write_rows(
    reader: RowReader,
    source: Any,
    files: RowFiles,
    settings: LoadSettings,
    *,
    positions: Positions,
    types: Sequence[str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> int:
    """Read a source into the files of partitions.

    `types`: default types, where the source is a table of impressions. `advance` gets the rows of
    every block. Returns the time of the latest row that is not of the future, in microseconds.
    """
    clock, latest = microseconds(settings.clock), NO_TIME
    blocks = reader.read_in_blocks(
        source, on_error=settings.on_error, default_types=types, positions=positions
    )
    for rows in blocks:
        latest = max(latest, int(rows.time[rows.time != clock].max(initial=NO_TIME)))
        files.write(rows, from_impressions=types is not None)
        if advance is not None:
            advance(len(rows))
    return latest


@dataclass(frozen=True)
class Reading:
    """What was counted while some sources were read, to be sent to other processes.

    Attributes
    ----------
    scans : list of ScanCounts
        One for each of the sources.
    filled : dict of str to int
        Recommended field -> rows that have it.
    latest : int
        Time of the latest row that is not of the future, in microseconds.
    rows : ndarray of int64, shape (partitions,)
        Rows of each partition.
    attributable : int
        See `RowFiles`.
    """

    scans: list[ScanCounts]
    filled: dict[str, int]
    latest: int
    rows: NDArray[np.int64]
    attributable: int = 0

    @property
    def unplaced(self) -> int:
        """Rows without a position."""
        return sum(scan.unplaced.height for scan in self.scans)

    @property
    def future_date(self) -> int | None:
        """Date of the rows of the future: as the latest other row; None where nothing changes."""
        dated = self.latest != NO_TIME and any(scan.rows_of_future for scan in self.scans)
        return self.latest if dated else None

    def unknown_context(self, settings: LoadSettings, texts: SharedTexts) -> list[str]:
        """Return the columns of context that no row has; to be asked before `refuse`."""
        return [
            name
            for name in settings.context
            if (not self.filled[name] if name in OF_PARTS else texts[name].is_empty())
        ]

    def refuse(self, reasons: NDArray[np.object_]) -> None:
        """Send the rows for which no position was found to the quarantine.

        `reasons`: one for every row without a position; None where one was found.
        """
        refuse_unplaced(self.scans, self.filled, pl.Series(reasons.tolist(), dtype=pl.String))
