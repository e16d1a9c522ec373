"""A check of stored interactions before anything is learnt from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ._quarantine import check_format
from .duplicates import mark_duplicates
from .scan import Scan
from .signals import SignalTable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECOMMENDED: Final = (
    "execution_id",
    "session_id",
    "user_id",
    "document_score",
    "query_snapshot",
    "feature_uri",
)
"""Optional fields whose absence costs something later; so does that of times."""

_EXAMPLES: Final = 5
_KEYS: Final = ("execution_id", "feature_id", "interaction_id")


@dataclass
class ValidationReport:
    """What a source holds: ``rows_read == rows_kept + duplicates + quarantined``.

    Attributes
    ----------
    rows_read, rows_kept, duplicates, quarantined : int
    quarantine_reasons : dict of str to int
        ``"field: reason"`` -> quarantined rows, most frequent first.
    coverage : dict of str to float
        Recommended field -> share of the valid rows (duplicates included) that carry it; ``time``
        stands for occurred_at or timestamp.
    types : dict of str to int
        Interaction type -> valid rows that carry it, most frequent first.
    examples : list of dict
        The first quarantined rows: source, row, field, value, reason.
    """

    rows_read: int = 0
    rows_kept: int = 0
    duplicates: int = 0
    quarantined: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    coverage: dict[str, float] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

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
                *_table("rows that carry", self.coverage, "{:>13.1%} "),
                *_table("rows by type", self.types, "{:>14,}"),
            ],
        )

    def _totals(self) -> dict[str, int]:
        return {
            "rows read": self.rows_read,
            "kept": self.rows_kept,
            "duplicates": self.duplicates,
            "quarantined": self.quarantined,
        }


def validate(
    sources: Any,
    *,
    types: Iterable[str] = (),
    quarantine: str | Path | None = None,
) -> ValidationReport:
    """Read interactions, check every rule and report what was found.

    Parameters
    ----------
    sources : path, glob, table, list of dicts, or a list of paths and globs
        See `Scan`.
    types : iterable of str
        Interaction types beside the built-in ones.
    quarantine : path, optional
        Where to write the bad rows: .jsonl, .csv or .parquet.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a column is missing or of a wrong type.

    Examples
    --------
    >>> rows = [{"feature_id": "a", "interaction_type": ["click"], "position": p} for p in (0, -1)]
    >>> report = validate(rows)
    >>> report.rows_read, report.rows_kept, report.quarantined
    (2, 1, 1)
    """
    if quarantine is not None:
        check_format(quarantine)
    scan = Scan(sources, signals=SignalTable.with_types(types))
    filled: Counter[str] = Counter()
    masks: Counter[int] = Counter()
    keys = [pl.DataFrame(schema=_key_schema())]
    for batch in scan.batches():
        filled.update(_filled(batch))
        masks.update(dict(batch["type_mask"].value_counts().rows()))
        keys.append(_keys(batch))
    duplicates = int(mark_duplicates(pl.concat(keys)).sum())
    if quarantine is not None:
        scan.quarantine.write(quarantine)
    return ValidationReport(
        rows_read=scan.rows_read,
        rows_kept=scan.rows_valid - duplicates,
        duplicates=duplicates,
        quarantined=scan.quarantine.rows,
        quarantine_reasons=scan.quarantine.reasons,
        coverage={name: filled[name] / max(scan.rows_valid, 1) for name in (*RECOMMENDED, "time")},
        types=_per_type(masks, scan.signals),
        examples=scan.quarantine.head(_EXAMPLES).to_dicts(),
    )


def _filled(batch: pl.DataFrame) -> dict[str, int]:
    found = {name: batch.height - batch[name].null_count() for name in RECOMMENDED}
    return found | {"time": batch.height - batch["event_time"].null_count()}


def _key_schema() -> dict[str, pl.DataType]:
    hashes = dict.fromkeys(_KEYS, pl.UInt64())
    return {**hashes, "type_mask": pl.UInt64(), "event_time": pl.Datetime("us")}


def _keys(batch: pl.DataFrame) -> pl.DataFrame:
    # Hashes are a small fraction of the texts' memory, and never leave this function's caller.
    hashes = [pl.when(pl.col(n).is_not_null()).then(pl.col(n).hash()).alias(n) for n in _KEYS]
    return batch.select(*hashes, "type_mask", "event_time")


def _per_type(masks: Counter[int], signals: SignalTable) -> dict[str, int]:
    counts = {
        name: sum(count for mask, count in masks.items() if mask >> bit & 1)
        for bit, name in enumerate(signals.vocabulary)
    }
    found = ((name, count) for name, count in counts.items() if count)
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _table(title: str, values: dict[str, Any], number: str) -> list[str]:
    lines = [f"  {number.format(value)}  {name}" for name, value in values.items()]
    return [title, *lines] if title and lines else lines


def _example(example: dict[str, Any]) -> str:
    value = "" if example["value"] is None else f" (got {example['value'][:60]!r})"
    subject = f"{example['field']}: " if example["field"] else ""
    return f"{example['source']}, row {example['row']}: {subject}{example['reason']}{value}"
