"""Where rows go that break a rule: counted by reason, kept as small frames, written on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from ..._shared.atomic_files import write_whole
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from ..record.fault import Fault

VALUE_CHARACTERS: Final = 200
"""How much of an offending value is kept."""

FORMATS: Final = (".jsonl", ".ndjson", ".csv", ".parquet")

FAULT_SCHEMA: Final = {
    "row": pl.Int64(),
    "field": pl.String(),
    "value": pl.String(),
    "reason": pl.String(),
}


class Quarantine:
    """Rows that broke a rule, with the source, the row, the field, the value and the reason.

    Rows of text files are lines counted from 1; rows of tables are counted from 0. Every bad row
    is here once, with the first rule that it broke.

    Examples
    --------
    >>> from rankloom import scan
    >>> rows = [{"feature_id": "a", "interaction_type": ["click"], "position": -1}]
    >>> scan(rows).quarantine.reasons
    {'position: negative; positions are 0-based': 1}
    """

    def __init__(self) -> None:
        self._parts: list[tuple[str, pl.DataFrame]] = []
        self._codes: dict[tuple[str, str], int] = {}
        self._counts: dict[int, int] = {}

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self._counts.values())

    @property
    def reasons(self) -> dict[str, int]:
        """``"field: reason"`` -> rows, most frequent first."""
        found = [
            (f"{field}: {reason}" if field else reason, self._counts[code])
            for (field, reason), code in self._codes.items()
        ]
        return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.rows

    def __repr__(self) -> str:
        """Say how many rows there are and why."""
        return summary_text(Summary(f"Quarantine: {self.rows:,} rows", [self._counts_table()]))

    def add(self, source: str, faults: pl.DataFrame) -> None:
        """Add rows of one source; `faults` has the columns of `FAULT_SCHEMA`."""
        if faults.is_empty():
            return
        counts = faults.group_by("field", "reason").len().sort("field", "reason")
        self.count(counts.rows())
        self._parts.append((source, self._packed(faults)))

    def count(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Count rows, which are kept elsewhere, by field and reason."""
        for field, reason, rows in counts:
            code = self._codes.setdefault((field, reason), len(self._codes))
            self._counts[code] = self._counts.get(code, 0) + rows

    @property
    def counts(self) -> list[tuple[str, str, int]]:
        """Field, reason, and how many rows broke the rule."""
        return [(*names, self._counts[code]) for names, code in self._codes.items()]

    def extend(self, other: Quarantine) -> None:
        """Add all rows of another quarantine."""
        self.count(other.counts)
        for source, packed in other._parts:
            self._parts.append((source, self._packed(other._unpacked(packed))))

    def head(self, rows: int = 5) -> pl.DataFrame:
        """Return the first rows, in the order in which they were refused."""
        return self._frame([(name, part.head(rows)) for name, part in self._parts[:rows]]).head(
            rows,
        )

    def to_frame(self) -> pl.DataFrame:
        """Return a frame of source, row, field, value and reason."""
        return self._frame(self._parts)

    def _frame(self, parts: list[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
        frames = [
            self._unpacked(part).select(pl.lit(source).alias("source"), *FAULT_SCHEMA)
            for source, part in parts
        ]
        return pl.concat([pl.DataFrame(schema={"source": pl.String(), **FAULT_SCHEMA}), *frames])

    def write(self, path: str | Path) -> None:
        """Write the rows as .jsonl, .csv or .parquet, whole or not at all.

        Parameters
        ----------
        path : path
            The suffix decides on the format. An existing file is replaced.

        Raises
        ------
        InvalidInputError
            If the suffix is none of the three.
        StoreError
            If the file cannot be written.
        """
        target = check_format(path)
        frame = self.to_frame()
        writers: dict[str, Callable[[str], object]] = {
            ".jsonl": frame.write_ndjson,
            ".ndjson": frame.write_ndjson,
            ".csv": frame.write_csv,
            ".parquet": frame.write_parquet,
        }
        try:
            write_whole(target, writers[target.suffix.lower()])
        except OSError as error:
            msg = f"quarantine: {str(target)!r} cannot be written: {error}"
            raise StoreError(msg) from error

    def _packed(self, faults: pl.DataFrame) -> pl.DataFrame:
        keys = pl.DataFrame(
            [(field, reason, code) for (field, reason), code in self._codes.items()],
            schema={"field": pl.String, "reason": pl.String, "code": pl.UInt16},
            orient="row",
        )
        joined = faults.join(keys, on=["field", "reason"], how="left", maintain_order="left")
        return joined.select("row", "code", "value")

    def _unpacked(self, part: pl.DataFrame) -> pl.DataFrame:
        fields = pl.Series([field for field, _ in self._codes], dtype=pl.String)
        reasons = pl.Series([reason for _, reason in self._codes], dtype=pl.String)
        return part.with_columns(
            fields.gather(part["code"]).alias("field"),
            reasons.gather(part["code"]).alias("reason"),
        ).select(*FAULT_SCHEMA)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _counts_table(self) -> Table:
        return Table.of(["because", "rows"], self.reasons.items())

    def _summary(self) -> Summary:
        return Summary(
            f"Quarantine: {self.rows:,} rows",
            [
                self._counts_table(),
                Table.of_frame(self.head(5), caption="the first rows"),
            ],
        )


def check_format(path: str | Path) -> Path:
    """Return the path if a quarantine can be written there, going by its name."""
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        msg = f"quarantine: expected a path ending in {', '.join(FORMATS)}, got {str(target)!r}"
        raise InvalidInputError(msg)
    if not target.parent.is_dir():
        msg = f"quarantine: the folder of {str(target)!r} does not exist. Create it first"
        raise InvalidInputError(msg)
    return target


def fault_frame(faults: Sequence[tuple[int, Fault]]) -> pl.DataFrame | None:
    """Return the faults as rows of the quarantine."""
    rows = [(line, fault.field, fault.value, fault.reason) for line, fault in faults]
    return pl.DataFrame(rows, schema=FAULT_SCHEMA, orient="row") if rows else None
