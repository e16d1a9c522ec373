"""What became of the rows of a log that was read as searches, and what the log lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from ...datasets.quality.notes import share

_REASONS: Final = 2

MISSING_ADVICE: Final = {
    "query": "without a query nothing can be said by query: log query_snapshot, the text or the "
    "JSON of the query, with every row or in the impressions table",
    "user": "users cannot be counted, and intervals do not allow for one person searching "
    "several times: log user_id; a pseudonym is enough",
    "session": "which query followed which in a visit is unknown: log session_id, one value for "
    "each visit",
    "retriever": "retrievers cannot be distinguished: log retriever_id, the name of the search "
    "configuration that made the list",
    "time": "nothing can be said over time, and which query followed which is unknown: log "
    "occurred_at or timestamp",
    "impressions": "what was shown and passed over is unknown, so there are no rates: log an "
    "interaction of type 'impression' for every shown document, or give an impressions table",
    "zero_results": "no search says that it found nothing: where one does, log an interaction of "
    "type 'zero_results' with result_set_size 0",
}
"""Field -> what cannot be known without it, and how to log it."""


@dataclass(frozen=True)
class SearchReport:
    """Account of a log that was read as searches.

    Attributes
    ----------
    rows_read : int
        Rows of every source, the impressions table included.
    left_out : dict of str to int
        Reason -> rows that are in no search.
    quarantine_reasons : dict of str to int
        ``"field: reason"`` -> quarantined rows.
    searches_left_out : dict of str to int
        Reason -> searches that were left out.
    coverage : dict of str to float
        Field of `MISSING_ADVICE` -> share of the searches that have it.
    missing : dict of str to str
        Field that no search has -> what cannot be known without it, and how to log it.
    notes : list of str
        Anything else that the reader should know.

    Examples
    --------
    >>> SearchReport(rows_read=3, left_out={"quarantined": 1}).rows_left_out
    1
    """

    rows_read: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    searches_left_out: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def rows_left_out(self) -> int:
        """Rows that are in no search."""
        return sum(self.left_out.values())

    @property
    def account(self) -> list[str]:
        """Sentences about the rows and searches that were left out; none where none were."""
        rows = [
            f"{share(count, self.rows_read, 'rows')} were left out: {reason}"
            for reason, count in self.left_out.items()
        ]
        if "quarantined" in self.left_out:
            largest = list(self.quarantine_reasons.items())[:_REASONS]
            rows[0] += f" ({'; '.join(f'{reason}: {count:,}' for reason, count in largest)})"
        searches = [
            f"{count:,} searches were left out: {reason}"
            for reason, count in self.searches_left_out.items()
        ]
        return [*rows, *searches]

    def __str__(self) -> str:
        """Return what was read, left out and missing, in lines of text."""
        lines = [f"{self.rows_read:,} rows read"]
        lines += self.account
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"missing: {name}: {advice}" for name, advice in self.missing.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)
