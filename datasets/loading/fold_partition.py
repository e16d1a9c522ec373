"""One partition of a log, from its files to a part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..record.times import microseconds
from .part import build_part
from .row_files import PartitionRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ..pairs.row_reader import LogRows
    from ..record.signals import SignalTable
    from .part import Part
    from .settings import LoadSettings
    from .shared_texts import SharedTexts


class RowFile(NamedTuple):
    """Rows of a partition; see `PartitionRows.add`."""

    path: Path
    codes: Mapping[str, NDArray[np.int32]]
    first_unplaced: int = 0


class FoldedPartition(NamedTuple):
    """A part, and what became of its rows without a position.

    `unplaced`: their numbers among all such rows of the log. `reasons`: why each is refused, None
    where it is not.
    """

    part: Part
    unplaced: NDArray[np.int64]
    reasons: list[str | None]


@dataclass(frozen=True)
class PartitionFold:
    """What all partitions of a log are folded with.

    Attributes
    ----------
    settings : LoadSettings
    texts : SharedTexts
        What the codes of rows stand for.
    filled : mapping of str to int
        Recommended field -> rows of the whole log that have it.
    future_date : int or None
        See `Reading.future_date`.
    """

    settings: LoadSettings
    texts: SharedTexts
    filled: Mapping[str, int]
    future_date: int | None

    def fold(
        self, files: Sequence[RowFile], moved: NDArray[np.int64] | None = None
    ) -> FoldedPartition:
        """Fold the rows of a partition, which lie in the files of one or several readings.

        `moved`: see `PartitionRows.finish`.
        """
        settings = self.settings
        rows, unplaced = self.rows(files, moved)
        features = [name for name in settings.builtin_features if self.filled[name]]
        of_ids = replace(settings, query_key=settings.query_ids)  # texts of queries are ids by now
        refusals = _Refusals(settings.signals)
        part = build_part(rows, of_ids, refusals, features, self.texts)
        reasons = refusals.reasons
        found: list[str | None] = [None] * len(unplaced)
        if reasons is not None:
            found = reasons.to_list()
        return FoldedPartition(part, unplaced, found)

    def rows(
        self, files: Sequence[RowFile], moved: NDArray[np.int64] | None = None
    ) -> tuple[LogRows, NDArray[np.int64]]:
        """Return the rows of a partition as `PartitionRows.finish`, those of the future dated."""
        gathered = PartitionRows(self.texts, self.settings)
        for each in files:
            gathered.add(*each)
        rows, unplaced = gathered.finish(self.filled, moved)
        self.date(rows.time)
        return rows, unplaced

    def date(self, time: NDArray[np.int64]) -> None:
        """Give rows of the future their date."""
        if self.future_date is not None:
            time[time == microseconds(self.settings.clock)] = self.future_date


@dataclass
class _Refusals:
    """Keeps why rows of one partition get no position."""

    signals: SignalTable
    reasons: pl.Series | None = None

    def refuse_unplaced(self, reasons: pl.Series) -> None:
        """Keep the reasons."""
        self.reasons = reasons
