"""What a scan counts while it reads: adds up over the scans of one log, wherever they ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from ...errors import InvalidInputError
from ..record.fault import Fault
from ..record.mapping import InputMapping
from .column_rules import MASK
from .quarantine import FAULT_SCHEMA, Quarantine

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy as np

_FIRST_YEAR: Final = 1990
"""Earlier times than that come from a wrong unit."""


@dataclass
class ScanCounts:
    """Counts of rows, and the rows that broke a rule or have no position.

    Attributes
    ----------
    mapping : InputMapping
    raises : bool
        Whether a bad row is an error.
    sources : list of tuple of str
        Name of each source, and what its row numbers count.
    rows_read, rows_valid, rows_of_future : int
        See `Scan`.
    quarantine : Quarantine
    null_words : Counter
        Column -> rows with a word for a missing value.
    rewritten : Counter
        (Type as written, type as read) -> rows.
    refused_types : Counter
        Types of the quarantined rows, as a bitmask -> rows.
    earliest : datetime or None
        Where a unit of times was given.
    unplaced_rows : list of DataFrame
        See `Scan.unplaced`.
    mapped, names : set of str
        Fields whose column of the mapping was found; all columns, where some was not.
    """

    mapping: InputMapping = field(default_factory=InputMapping)
    raises: bool = False
    sources: list[tuple[str, str]] = field(default_factory=list)
    rows_read: int = 0
    rows_valid: int = 0
    rows_of_future: int = 0
    quarantine: Quarantine = field(default_factory=Quarantine)
    null_words: Counter[str] = field(default_factory=Counter)
    rewritten: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused_types: Counter[int] = field(default_factory=Counter)
    earliest: dt.datetime | None = None
    unplaced_rows: list[pl.DataFrame] = field(default_factory=list)
    mapped: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    @classmethod
    def of_all(cls, parts: Sequence[ScanCounts]) -> ScanCounts:
        """Return what one scan of the sources of all parts, at least one, in order would count."""
        total = cls(parts[0].mapping, parts[0].raises)
        for part in parts:
            shifted = pl.col("source") + len(total.sources)
            total.unplaced_rows += [rows.with_columns(shifted) for rows in part.unplaced_rows]
            total.sources += part.sources
            total.rows_read += part.rows_read
            total.rows_valid += part.rows_valid
            total.rows_of_future += part.rows_of_future
            total.quarantine.extend(part.quarantine)
            total.null_words.update(part.null_words)
            total.rewritten.update(part.rewritten)
            total.refused_types.update(part.refused_types)
            times = [time for time in (total.earliest, part.earliest) if time is not None]
            total.earliest = min(times, default=None)
            total.mapped |= part.mapped
            total.names |= part.names
        return total

    @property
    def notes(self) -> list[str]:
        """What was read otherwise than written."""
        found = [
            f"interaction_type: {rows:,} rows say {name!r}, which was read as {known!r}"
            for (name, known), rows in sorted(self.rewritten.items())
        ]
        found += [
            f"{name}: {rows:,} rows hold a word for a missing value, such as NULL or nan, and were "
            "read as missing"
            for name, rows in sorted(self.null_words.items())
        ]
        if self.rows_of_future:
            found.append(
                f"{self.rows_of_future:,} rows lie in the future; they count as of now, in "
                "load_pairs as of the log's latest other row. Check the clock, the time zone and "
                "the unit of their times"
            )
        if self.earliest is not None and self.earliest.year < _FIRST_YEAR:
            found.append(
                f"the earliest time is {self.earliest:%Y-%m-%d}; check time_unit="
                f"{self.mapping.time_unit!r}"
            )
        return found

    @property
    def unmapped(self) -> dict[str, str]:
        """Field -> column that the mapping names and no source has."""
        columns = self.mapping.columns
        return {name: columns[name] for name in columns if name not in self.mapped}

    def column_names(self) -> set[str]:
        """Return the names of all sources' columns, where some column was not found."""
        return self.names

    def refused_of(self, mask: np.uint64) -> int:
        """Return how many quarantined rows are of a type in a bitmask."""
        return sum(rows for types, rows in self.refused_types.items() if types & int(mask))

    @property
    def refused_untyped(self) -> int:
        """How many quarantined rows have no type that could be read."""
        typed = sum(rows for types, rows in self.refused_types.items() if types)
        return self.quarantine.rows - typed

    @property
    def unplaced(self) -> pl.DataFrame:
        """Valid rows without a position."""
        empty = pl.DataFrame(schema={"source": pl.Int64, "row": pl.Int64, MASK: pl.UInt64})
        return pl.concat([empty, *self.unplaced_rows], how="diagonal")

    def refuse_unplaced(self, reasons: pl.Series) -> pl.DataFrame:
        """Send rows of `unplaced` to the quarantine, for a reason each; None leaves a row valid.

        Returns the refused ones. Raises `InvalidInputError` if the scan's errors are fatal.
        """
        rows = self.unplaced.with_columns(reasons.alias("reason")).drop_nulls("reason")
        self.rows_valid -= rows.height
        self.refused_types.update(rows[MASK].to_list())
        self.unplaced_rows = []
        missing = {"field": pl.lit("position"), "value": pl.lit(None, pl.String)}
        for (number,), bad in rows.sort("source", "row").group_by("source", maintain_order=True):
            self.refuse(int(str(number)), bad.with_columns(**missing).select(*FAULT_SCHEMA))
        return rows

    def refuse(self, source: int, bad: pl.DataFrame) -> None:
        """Send rows of a source to the quarantine, or raise for the first one."""
        name, unit = self.sources[source]
        self.quarantine.add(name, bad)
        if self.raises:
            row, *fault = bad.row(0)
            msg = f"{name}, {unit} {row}: {Fault(*fault)}"
            raise InvalidInputError(msg)
