"""What became of every row of an update."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class UpdateReport:
    """The account of one update: rows are counted where they are left out, with the reason.

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
    list_level : int
        Rows that speak of the list only.
    without_execution : int
        Rows whose execution nothing tells: no execution_id, and no session_id with a query.
    without_time : int
        Rows whose time nothing tells.
    before_compaction : int
        Rows refused because their time is already closed.
    other_retriever : int
        Rows of another retriever.
    without_feature_uri, unknown_feature_uri : int
        Rows that name no channel, or one that is no arm. They still say what was shown and
        liked; without a channel, or scores, the unit teaches no weight.
    bad_scores : int
        Scores or weights that are no number within a million; they count as missing.
    unknown_scores : int
        Scores of channels that are no arm.
    units_without_exposure : int
        Open units of the whole state that no row says were shown, afterwards; they add nothing.
    quarantine_reasons : dict of str to int
    """

    rows: int = 0
    units_opened: int = 0
    rows_changing: int = 0
    quarantined: int = 0
    list_level: int = 0
    without_execution: int = 0
    without_time: int = 0
    before_compaction: int = 0
    other_retriever: int = 0
    without_feature_uri: int = 0
    unknown_feature_uri: int = 0
    bad_scores: int = 0
    unknown_scores: int = 0
    units_without_exposure: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)

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
