"""Valid rows of every source as flat numbers, with the dictionaries of their texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl

from ._grouping import NO_TIME
from ._growing import GrowingArray
from ._interner import Interner
from .interaction import canonical_schema
from .scan import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .signals import SignalTable

SNAPSHOT: Final = "query_snapshot"
CARRIED: Final = ("document_score", "feature_uri", "result_set_size")
"""Values that a pair takes from its earliest row that has one."""
RECOMMENDED: Final = (
    "execution_id",
    "session_id",
    "user_id",
    "query_snapshot",
    "document_score",
    "feature_uri",
    "result_set_size",
    "event_time",
)
"""Optional fields whose absence costs something later; their coverage is reported."""


@dataclass
class LogRows:
    """All valid rows; arrays have shape (n,).

    Attributes
    ----------
    codes : dict of str to ndarray of int32
        Text column -> code of every row, -1 where missing.
    texts : dict of str to polars.Series
        Text column -> text of every code.
    types : ndarray of uint64
        Bitmask of the interaction types.
    time : ndarray of int64
        Microseconds, `NO_TIME` where missing.
    position : ndarray of int32
    carried : ndarray of float64, shape (n, 3)
        `CARRIED`, NaN where missing; a feature_uri as its code.
    without_execution : ndarray of int64
        Rows that have no execution_id of their own.
    session : ndarray of int32
        Code of the session of each of those, -1 where missing.
    filled : dict of str to int
        Recommended field -> rows that have it.
    """

    codes: dict[str, NDArray[np.int32]]
    texts: dict[str, pl.Series]
    types: NDArray[np.uint64]
    time: NDArray[np.int64]
    position: NDArray[np.int32]
    carried: NDArray[np.float64]
    without_execution: NDArray[np.int64]
    session: NDArray[np.int32]
    filled: dict[str, int]

    def __len__(self) -> int:
        return len(self.types)


@dataclass
class RowReader:
    """Reads scans into `LogRows`, keeping numbers and distinct texts only.

    Parameters
    ----------
    signals : SignalTable
    context : sequence of str
        Canonical columns, other columns or metadata fields that describe an execution.
    query_column : str, optional
        Column that holds the query id; None: the snapshot.
    """

    signals: SignalTable
    context: Sequence[str] = ()
    query_column: str | None = None
    scans: list[Scan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._texts = (
            "execution_id",
            "feature_id",
            "feature_uri",
            self.query_column or SNAPSHOT,
            *self.context,
        )
        self._interners = {name: Interner() for name in (*self._texts, "session_id")}
        self._codes = {name: GrowingArray(np.int32) for name in self._texts}
        self._types = GrowingArray(np.uint64)
        self._time = GrowingArray(np.int64)
        self._position = GrowingArray(np.int32)
        self._carried = GrowingArray(np.float64, columns=len(CARRIED))
        self._without = GrowingArray(np.int64)
        self._session = GrowingArray(np.int32)
        self._filled: dict[str, int] = dict.fromkeys(RECOMMENDED, 0)

    def read(
        self,
        source: Any,
        *,
        on_error: Literal["quarantine", "raise"],
        default_types: Sequence[str] | None = None,
    ) -> None:
        """Read one source to its end."""
        canonical = set(canonical_schema())
        wanted = {*self._texts, *RECOMMENDED, "position", "result_set_size"}
        own = [name for name in self._texts if name not in canonical]
        scan = Scan(
            source,
            signals=self.signals,
            columns=(wanted | ({"metadata"} if self.context else set())) & canonical,
            extra=own,
            on_error=on_error,
            default_types=default_types,
        )
        for column in self._columns():
            column.reserve(scan.rows_expected)
        for batch in _read_ahead(scan.batches()):
            self._add(batch, {name for name in self.context if name in own})
        self.scans.append(scan)

    def finish(self) -> LogRows:
        """Return everything that was read."""
        texts = {name: interner.texts() for name, interner in self._interners.items()}
        codes = {name: column.filled() for name, column in self._codes.items()}
        return LogRows(
            codes=codes,
            texts=texts,
            types=self._types.filled(),
            time=self._time.filled(),
            position=self._position.filled(),
            carried=self._carried.filled(),
            without_execution=self._without.filled(),
            session=self._session.filled(),
            filled=self._filled,
        )

    def _columns(self) -> list[GrowingArray]:
        numbers = [self._types, self._time, self._position, self._carried]
        return [*self._codes.values(), *numbers]

    def _add(self, batch: pl.DataFrame, own_context: set[str]) -> None:
        carried = self._carried.claim(len(batch))
        for name in self._texts:
            values = _column_or_metadata(batch, name) if name in own_context else batch[name]
            room = self._codes[name].claim(len(batch))
            self._interners[name].add(values.cast(pl.String), room)
        self._types.extend(batch["type_mask"].to_numpy())
        self._time.extend(_filled(batch["event_time"].to_physical(), NO_TIME))
        self._position.extend(batch["position"].to_numpy())
        for name in ("document_score", "result_set_size"):
            carried[:, CARRIED.index(name)] = _filled(batch[name], np.nan)
        channel = self._codes["feature_uri"].filled()[-len(batch) :]
        carried[:, CARRIED.index("feature_uri")] = np.where(channel < 0, np.nan, channel)
        for name in RECOMMENDED:
            self._filled[name] += len(batch) - batch[name].null_count()
        if batch["execution_id"].null_count():
            self._note_sessions(batch)

    def _note_sessions(self, batch: pl.DataFrame) -> None:
        """Code the sessions of the rows that have no execution_id of their own."""
        without = batch["execution_id"].is_null()
        start = len(self._types.filled()) - len(batch)
        self._without.extend(start + without.arg_true().to_numpy())
        chosen = batch["session_id"].filter(without)
        self._session.extend(self._interners["session_id"].add(chosen))


def _read_ahead(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield batches while the next one is already being read and checked in a thread."""
    with ThreadPoolExecutor(1, "rankloom-read") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _filled(values: pl.Series, missing: float) -> NDArray[Any]:
    """Return numbers with `missing` for null; without nulls they are not copied."""
    if values.null_count():
        values = (values.cast(pl.Float64) if np.isnan(missing) else values).fill_null(missing)
    return values.to_numpy()


def _column_or_metadata(batch: pl.DataFrame, name: str) -> pl.Series:
    field_of = pl.col("metadata").str.json_path_match(f'$["{name}"]')
    return batch.select(pl.coalesce(pl.col(name).cast(pl.String), field_of)).to_series()
