"""What a log gave of triplets, and what was refused and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..._shared.plain import plain


@dataclass(frozen=True)
class PartReport:
    """Account of one part, "train" or "test".

    Attributes
    ----------
    executions, queries, query_documents : int
        Of the part.
    mean_relevance, prior_strength : float
        Of the prior: P(click | examined), and the examinations that it counts as.
    positives : int
        (query, document) that were engaged with more often than the mean.
    negatives : int
        (query, document) that were examined and are no positives, before any refusal.
    refused : dict of str to int
        Reason -> documents of a query ("... document"), or pairs of a positive and a negative.
    triplets : int
    why : dict of str to int
        Kind of negative -> triplets.
    """

    executions: int
    queries: int
    query_documents: int
    mean_relevance: float
    prior_strength: float
    positives: int
    negatives: int
    refused: dict[str, int]
    triplets: int
    why: dict[str, int]

    def __str__(self) -> str:
        return (
            f"{self.triplets:,} triplets of {self.positives:,} positives and "
            f"{self.negatives:,} negatives, {self.queries:,} queries"
        )


@dataclass(frozen=True)
class TripletReport:
    """Account of all parts.

    Attributes
    ----------
    parts : dict of str to PartReport
    executions, executions_unused : int
        Of the log; in no part, because their query and their time belong to different ones.
    examination : str
        Where the examination comes from: "given", "pairs", "estimated" or "assumed".
    curve : list of float or None
        Examination by position, where a curve was given or estimated.
    notes : list of str
        What limits the triplets.
    """

    parts: dict[str, PartReport]
    executions: int
    executions_unused: int
    examination: str
    curve: list[float] | None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = plain(asdict(self))
        return values

    def __str__(self) -> str:
        lines = [
            f"{self.executions:,} executions, {self.executions_unused:,} of them in no part",
            f"examination: {self.examination}",
        ]
        for name, part in self.parts.items():
            lines += [
                f"{name}: {part}",
                *(f"  {count:>9,}  negative {kind}" for kind, count in part.why.items() if count),
                *(f"  {count:>9,}  refused: {why}" for why, count in part.refused.items() if count),
            ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
