"""What validation found: the account of every row, and the notes and counts to judge it by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ..record.interaction import RECOMMENDED
from ..record.signals import SignalTable
from .conditions import Count, parse_conditions
from .unplaced import unplaced_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

COVERED: Final = (*RECOMMENDED, "time")


@dataclass
class ValidationReport:
    """What a source holds: ``rows_read == rows_kept + duplicates + quarantined``.

    Attributes
    ----------
    rows_read, rows_kept, duplicates, quarantined : int
    quarantine_reasons : dict of str to int
        ``"field: reason"`` -> quarantined rows, most frequent first.
    rows_placed, rows_attributed, rows_unplaced : int
        Rows without a position: those that take the one of their document in their execution, those
        attributed to their user's last display, and the quarantined rest.
    coverage : dict of str to float
        Recommended field -> share of the valid rows (duplicates included) that carry it; ``time``
        stands for occurred_at or timestamp.
    types : dict of str to int
        Interaction type -> valid rows that carry it, most frequent first.
    examples : list of dict
        The first quarantined rows: source, row, field, value, reason.
    executions, executions_without_query : int
        Distinct execution_id among the valid rows; those of which no row names a query.
    notes : list of str
        What the reader should know before learning from the source.
    """

    rows_read: int = 0
    rows_kept: int = 0
    duplicates: int = 0
    quarantined: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    rows_placed: int = 0
    rows_attributed: int = 0
    rows_unplaced: int = 0
    coverage: dict[str, float] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)
    executions: int = 0
    executions_without_query: int = 0
    notes: list[str] = field(default_factory=list)

    def failed(self, conditions: Iterable[str], *, types: Iterable[str] = ()) -> list[str]:
        """Return those of some conditions that hold, each with its count.

        Parameters
        ----------
        conditions : iterable of str
            ``NAME OPERATOR NUMBER`` or ``NAME OPERATOR NUMBER%``, where the percentage is of all
            rows read (executions: of all executions; ``coverage.FIELD`` and ``types.TYPE``: of all
            valid rows). The names are those of `counts`.
        types : iterable of str
            Types of the user's own that may be named although no row has them.

        Raises
        ------
        InvalidInputError
            If a condition has another form or names no count.

        Examples
        --------
        >>> report = ValidationReport(rows_read=2, rows_kept=1, quarantined=1)
        >>> for each in report.failed(["quarantined > 1%", "rows_read < 2"]):
        ...     print(each)
        quarantined > 1%: 1 of 2 (50.00%)
        """
        counts = self.counts(types)
        parsed = parse_conditions(conditions, counts)
        return [f"{c.text}: {counts[c.name]}" for c in parsed if c.holds(counts[c.name])]

    def counts(self, types: Iterable[str] = ()) -> dict[str, Count]:
        """Return every count that a condition may name, with the total that it is a part of."""
        valid = self.rows_kept + self.duplicates
        types = dict.fromkeys(SignalTable.with_types(types).vocabulary, 0) | self.types
        covered = {name: round(self.coverage.get(name, 0.0) * valid) for name in COVERED}
        return {
            "rows_read": Count(self.rows_read),
            "rows_kept": Count(self.rows_kept, self.rows_read),
            "duplicates": Count(self.duplicates, self.rows_read),
            "quarantined": Count(self.quarantined, self.rows_read),
            "rows_placed": Count(self.rows_placed, self.rows_read),
            "rows_attributed": Count(self.rows_attributed, self.rows_read),
            "rows_unplaced": Count(self.rows_unplaced, self.rows_read),
            "executions": Count(self.executions),
            "executions_without_query": Count(self.executions_without_query, self.executions),
            "notes": Count(len(self.notes)),
            **{f"coverage.{name}": Count(rows, valid) for name, rows in covered.items()},
            **{f"types.{name}": Count(rows, valid) for name, rows in types.items()},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the report as text for a terminal."""
        return "\n".join(
            [
                *_table("", self._totals(), "{:>14,}"),
                *_table("quarantined because", self.quarantine_reasons, "{:>14,}"),
                *(f"    e.g. {_example(example)}" for example in self.examples),
                *unplaced_sentence(self.rows_placed, self.rows_attributed, self.rows_unplaced),
                *_table("rows that carry", self.coverage, "{:>13.1%} "),
                *_table("rows by type", self.types, "{:>14,}"),
                *(f"note: {note}" for note in self.notes),
            ],
        )

    def _totals(self) -> dict[str, int]:
        return {
            "rows read": self.rows_read,
            "kept": self.rows_kept,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
        }

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        coverage = {name: f"{share:.1%}" for name, share in self.coverage.items()}
        return Summary(
            f"ValidationReport: {self.rows_read:,} rows read",
            [
                Table.of_counts(self._totals()),
                Table.of_counts(self.quarantine_reasons, "quarantined because"),
                Table.of_counts(coverage, "rows that carry"),
                Table.of_counts(self.types, "rows by type"),
            ],
            [
                *(f"e.g. {_example(example)}" for example in self.examples),
                *unplaced_sentence(self.rows_placed, self.rows_attributed, self.rows_unplaced),
                *self.notes,
            ],
        )


def _table(title: str, values: dict[str, Any], number: str) -> list[str]:
    lines = [f"  {number.format(value)}  {name}" for name, value in values.items()]
    return [title, *lines] if title and lines else lines


def _example(example: dict[str, Any]) -> str:
    value = "" if example["value"] is None else f" (got {example['value'][:60]!r})"
    subject = f"{example['field']}: " if example["field"] else ""
    return f"{example['source']}, row {example['row']}: {subject}{example['reason']}{value}"
