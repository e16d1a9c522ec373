"""What an update did with every row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html

LEFT_OUT: Final = (
    "quarantined",
    "without_execution",
    "without_time",
    "before_compaction",
    "other_retriever",
    "without_feature_uri",
    "unknown_feature_uri",
    "bad_scores",
    "unknown_scores",
    "future_times",
)
"""Counts of what teaches less than it could, but for rows about the list as a whole."""


@dataclass(frozen=True)
class UpdateReport:
    """Counts of one update: rows that were used, and rows that were left out by reason.

    Attributes
    ----------
    rows : int
        Rows read, bad ones included.
    units_opened : int
        Units (one document of one execution) that were new.
    rows_changing : int
        Rows that changed a unit which was there before this update. A resend changes none.
    quarantined : int
        Rows that broke a rule of the record; reasons in `quarantine_reasons`.
    rows_placed : int
        Rows without a position, such as late purchases, that took the one of their document in
        their execution, from another row of this update.
    list_level : int
        Rows that concern the list as a whole.
    without_execution : int
        Rows of no execution: without execution_id, and without session_id and query.
    without_time : int
        Rows without a time.
    before_compaction : int
        Rows refused because evidence of their time is closed already.
    other_retriever : int
        Rows of another retriever.
    without_feature_uri, unknown_feature_uri : int
        Rows that name no channel, or one that is no arm. They count for their unit; a unit
        without a channel and without scores adds to no channel's sums.
    bad_scores : int
        Scores or weights that are no number within a million; they count as missing.
    unknown_scores : int
        Scores of channels that are no arm.
    future_times : int
        Rows dated after the present, which count as of now: a clock that is wrong must not make all
        other evidence old.
    units_without_exposure : int
        Open units of the whole state, afterwards, without a display; they add nothing.
    quarantine_reasons : dict of str to int
    notes : list of str
        What was read otherwise than written, and what looks wrong about the positions.
    """

    rows: int = 0
    units_opened: int = 0
    rows_changing: int = 0
    quarantined: int = 0
    rows_placed: int = 0
    list_level: int = 0
    without_execution: int = 0
    without_time: int = 0
    before_compaction: int = 0
    other_retriever: int = 0
    without_feature_uri: int = 0
    unknown_feature_uri: int = 0
    bad_scores: int = 0
    unknown_scores: int = 0
    future_times: int = 0
    units_without_exposure: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def rows_used(self) -> int:
        """Rows that were folded into a unit."""
        return self.rows - (
            self.quarantined
            + self.list_level
            + self.without_execution
            + self.without_time
            + self.before_compaction
            + self.other_retriever
        )

    def left_out(self, *also: str) -> dict[str, int]:
        """Return the counts of what was left out, 0 too, by name; and some further counts."""
        return {name: getattr(self, name) for name in (*LEFT_OUT, *also)}

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "units opened": self.units_opened,
            "rows that changed a unit": self.rows_changing,
            "rows placed": self.rows_placed,
            "rows of lists": self.list_level,
            "units without exposure": self.units_without_exposure,
        }
        left_out = {name.replace("_", " "): n for name, n in self.left_out().items() if n}
        return Summary(
            f"UpdateReport: {self.rows:,} rows, {self.rows_used:,} used",
            [
                Table.of_counts(counts),
                Table.of_counts(left_out, "left out"),
                Table.of_counts(self.quarantine_reasons, "quarantined because"),
            ],
            self.notes,
        )
