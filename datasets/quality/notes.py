"""Sentences about what a source holds that its reader should know before learning from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_QUARANTINED: Final = 0.05
"""Share of rows, or of clicks, whose quarantine is taken for nothing worth a note."""

_REASONS: Final = 2


def share(number: int, of: int, noun: str) -> str:
    """Return a part of a total with its percentage.

    Examples
    --------
    >>> share(3, 40, "executions")
    '3 of 40 executions (7.5%)'
    """
    return f"{number:,} of {of:,} {noun} ({number / max(of, 1):.1%})"


@dataclass(frozen=True)
class RowCounts:
    """What a reader found in its sources.

    Attributes
    ----------
    read, quarantined : int
        Rows.
    positive_kept, positive_quarantined : int
        Rows of a type that has a grade (a click or more).
    untyped : int
        Quarantined rows whose types cannot be read.
    reasons : mapping of str to int
        ``"field: reason"`` -> quarantined rows, most frequent first.
    """

    read: int
    quarantined: int
    positive_kept: int
    positive_quarantined: int
    untyped: int
    reasons: Mapping[str, int]


def quarantine_notes(rows: RowCounts) -> list[str]:
    """Return what to say of the rows that were refused: too many of them, or the clicks."""
    if not rows.quarantined:
        return []
    largest = list(rows.reasons.items())[:_REASONS]
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in largest)
    positive = rows.positive_kept + rows.positive_quarantined
    notes = []
    if rows.quarantined > MAX_QUARANTINED * rows.read:
        part = share(rows.quarantined, rows.read, "rows")
        notes.append(f"{part} were quarantined, more than {MAX_QUARANTINED:.0%}: {reasons}")
    if not rows.positive_kept and rows.positive_quarantined + rows.untyped:
        at_most = "up to " if rows.untyped else ""
        notes.append(
            "no click, nor any other type with a grade, is among the rows that were kept, but "
            f"{at_most}{rows.positive_quarantined + rows.untyped:,} are among the quarantined: "
            f"{reasons}"
        )
    elif rows.positive_quarantined > MAX_QUARANTINED * positive:
        part = share(rows.positive_quarantined, positive, "rows")
        notes.append(
            f"{part} of clicks and other types with a grade were quarantined, so that clicks look "
            f"rarer than they were: {reasons}"
        )
    return notes


def query_notes(without: int, executions: int) -> list[str]:
    """Return what to say of executions of which no row names a query, while others have one."""
    if not 0 < without < executions:
        return []
    note = (
        f"{share(without, executions, 'executions')} name no query in any row, so that each counts "
        "as a query of its own and nothing is learnt across them: give query_snapshot with every "
        "row, or in the impressions table"
    )
    return [note]
