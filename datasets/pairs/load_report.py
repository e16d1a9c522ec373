"""What a load did with every row that it read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html


@dataclass
class LoadReport:
    """Account of one load: rows read = kept + duplicates + quarantined.

    Attributes
    ----------
    rows_read : int
        Rows of every source, the impressions table included.
    rows_kept, duplicates, quarantined : int
        What became of them.
    quarantine_reasons : dict of str to int
        ``"field: reason"`` -> rows.
    list_level_rows : int
        Kept rows that describe the whole list (query_refinement, zero_results, filter_toggle).
    rows_without_execution : int
        Kept rows with neither an execution_id nor a session and query to infer it from.
    rows_placed, rows_attributed, rows_unplaced : int
        Rows without a position: those that took the one of their document in their execution, those
        that were attributed to their user's last display, and the quarantined rest.
    executions : int
        Executions that became training data.
    executions_dropped : dict of str to int
        Reason -> executions that made no pair.
    executions_without_query : int
        Executions of which no row names a query; each counts as a query of its own.
    rows_given_query : int
        Kept rows without a query, the impressions table's too, whose execution has one in another
        row: that is theirs.
    bot_executions, bot_users : int
        Executions and users that look like bots; see `rankloom.datasets.quality.bots`.
    position_conflicts : int
        Pairs whose rows name more than one position; the earliest event's was taken.
    coverage : dict of str to float
        Recommended field -> share of kept rows that carry it.
    confounded : dict of str to float
        Feature -> mean rank correlation with the position within lists, where above 0.9.
    features_left_out : dict of str to str
        Column -> why it is no feature, though it could have been.
    judgments : dict of str to dict
        Source -> what became of its judgements; see
        `rankloom.datasets.pairs.judgments.JudgmentCounts`.
    notes : list of str
        Anything else that the reader should know.
    """

    rows_read: int = 0
    rows_kept: int = 0
    duplicates: int = 0
    quarantined: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    list_level_rows: int = 0
    rows_without_execution: int = 0
    rows_placed: int = 0
    rows_attributed: int = 0
    rows_unplaced: int = 0
    executions: int = 0
    executions_dropped: dict[str, int] = field(default_factory=dict)
    executions_without_query: int = 0
    rows_given_query: int = 0
    bot_executions: int = 0
    bot_users: int = 0
    position_conflicts: int = 0
    coverage: dict[str, float] = field(default_factory=dict)
    confounded: dict[str, float] = field(default_factory=dict)
    features_left_out: dict[str, str] = field(default_factory=dict)
    judgments: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "rows kept": self.rows_kept,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
            "executions": self.executions,
            "executions without a query": self.executions_without_query,
            "rows of lists": self.list_level_rows,
            "rows without an execution": self.rows_without_execution,
            "rows placed": self.rows_placed + self.rows_attributed,
            "rows given a query": self.rows_given_query,
            "executions of bots": self.bot_executions,
            "position conflicts": self.position_conflicts,
        }
        coverage = {name: f"{share:.1%}" for name, share in self.coverage.items()}
        return Summary(
            f"LoadReport: {self.rows_read:,} rows read",
            [
                Table.of_counts({name: count for name, count in counts.items() if count}),
                Table.of_counts(self.quarantine_reasons, "quarantined because"),
                Table.of_counts(self.executions_dropped, "executions dropped because"),
                Table.of_counts(coverage, "rows that carry"),
                Table.of_counts(self.confounded, "features confounded with the position"),
                Table.of_counts(self.features_left_out, "columns that are no feature"),
            ],
            self.notes,
        )
