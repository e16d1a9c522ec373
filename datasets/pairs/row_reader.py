"""Valid rows of every source as flat numbers, with the dictionaries of their texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl

from ..reading.scan import Scan
from ..record.interaction import RECOMMENDED, canonical_schema
from .fold import CARRIED, NO_TIME
from .growing_array import GrowingArray
from .interner import Interner
from .text_codes import recode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ..reading.scan import Positions
    from ..reading.scan_counts import ScanCounts
    from ..record.mapping import InputMapping
    from ..record.signals import SignalTable

SNAPSHOT: Final = "query_snapshot"
_COVERED: Final = (*RECOMMENDED, "event_time")
_OF_BLOCK: Final = ("execution_id", "session_id")
"""Columns whose texts belong to few rows each, which stand near each other."""


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
        -1 where missing, until `place_rows` finds one.
    carried : ndarray of float64, shape (n, 3)
        `CARRIED`, NaN where missing; a feature_uri as its code.
    without_execution : ndarray of int64
        Rows that have no execution_id of their own.
    session : ndarray of int32
        Code of the session of each of those, -1 where missing.
    user : ndarray of int32
        One above the code of the user, 0 where missing; empty if users were not asked for.
    filled : dict of str to int
        Recommended field -> rows that have it.
    shown_from : int
        First row of the last source that was read: of the impressions, where there are any.
    shared : frozenset of str
        Columns whose texts other rows have in common with these, so that their codes stay.
    joined : ndarray of int64, shape (k, 2)
        Rows that are of no execution by themselves, and rows whose executions they belong to.
    """

    codes: dict[str, NDArray[np.int32]]
    texts: dict[str, pl.Series]
    types: NDArray[np.uint64]
    time: NDArray[np.int64]
    position: NDArray[np.int32]
    carried: NDArray[np.float64]
    without_execution: NDArray[np.int64]
    session: NDArray[np.int32]
    user: NDArray[np.int32]
    filled: dict[str, int]
    shown_from: int = 0
    shared: frozenset[str] = frozenset()
    joined: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))

    def __len__(self) -> int:
        return len(self.types)

    def select(self, kept: NDArray[np.bool_]) -> LogRows:
        """Return some rows and the texts that they name; users, sessions and shared texts stay."""
        codes = {name: own[kept] for name, own in self.codes.items()}
        texts = dict(self.texts)
        for name in codes.keys() - {"session_id", "user_id"} - self.shared:
            codes[name], used = _renumbered(codes[name])
            texts[name] = texts[name].gather(used)
        carried = self.carried[kept]
        channel = codes["feature_uri"]
        carried[:, CARRIED.index("feature_uri")] = np.where(channel < 0, np.nan, channel)
        without = kept[self.without_execution]
        place = np.cumsum(kept) - 1
        return replace(
            self,
            codes=codes,
            texts=texts,
            types=self.types[kept],
            time=self.time[kept],
            position=self.position[kept],
            carried=carried,
            without_execution=place[self.without_execution[without]],
            session=self.session[without],
            user=self.user[kept] if len(self.user) else self.user,
            shown_from=int(np.count_nonzero(kept[: self.shown_from])),
            joined=place[self.joined],
        )


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
    users : bool
        Whether the users of the rows are needed.
    on_batch : callable, optional
        Gets every batch of valid rows too, for what is not among `LogRows`.
    now : datetime in UTC, optional
        Later times become this one; None: the clock's.
    """

    signals: SignalTable
    context: Sequence[str] = ()
    query_column: str | None = None
    users: bool = False
    on_batch: Callable[[pl.DataFrame], None] | None = None
    mapping: InputMapping | None = None
    now: dt.datetime | None = None
    scans: list[Scan] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids = ("execution_id", "feature_id", "feature_uri")
        # A column may be asked for twice, such as one that is both context and query.
        self._texts = tuple(dict.fromkeys((*ids, self.query_column or SNAPSHOT, *self.context)))
        self._interners = {name: Interner() for name in (*self._texts, "session_id", "user_id")}
        self._start = 0
        self._filled: dict[str, int] = dict.fromkeys(_COVERED, 0)
        self._clear()

    def _clear(self) -> None:
        """Start without rows; texts that belong to one block only go too."""
        self._interners |= {name: Interner() for name in _OF_BLOCK}
        self._codes = {name: GrowingArray(np.int32) for name in self._texts}
        self._types = GrowingArray(np.uint64)
        self._time = GrowingArray(np.int64)
        self._position = GrowingArray(np.int32)
        self._carried = GrowingArray(np.float64, columns=len(CARRIED))
        self._without = GrowingArray(np.int64)
        self._session = GrowingArray(np.int32)
        self._user = GrowingArray(np.int32)

    def read(
        self,
        source: Any,
        *,
        on_error: Literal["quarantine", "raise"],
        default_types: Sequence[str] | None = None,
        positions: Positions = "required",
    ) -> None:
        """Read one source to its end."""
        for _ in self._batches(source, on_error, default_types, positions, reserves=True):
            pass

    def read_in_blocks(
        self,
        source: Any,
        *,
        on_error: Literal["quarantine", "raise"],
        default_types: Sequence[str] | None = None,
        positions: Positions = "required",
    ) -> Iterator[LogRows]:
        """Read one source and yield its rows, block by block, instead of keeping them.

        A block's `texts` are those of its own executions and sessions; other codes are those of
        `texts`, for all blocks together.
        """
        for _ in self._batches(source, on_error, default_types, positions, reserves=False):
            yield self._drained()

    def _batches(
        self,
        source: Any,
        on_error: Literal["quarantine", "raise"],
        default_types: Sequence[str] | None,
        positions: Positions,
        *,
        reserves: bool,
    ) -> Iterator[None]:
        """Add a source batch by batch."""
        canonical = set(canonical_schema())
        wanted = {*self._texts, *RECOMMENDED, "position"}
        own = [name for name in self._texts if name not in canonical]
        own_context = {name for name in self.context if name in own}
        needs_metadata = bool(own_context) or self.on_batch is not None
        scan = Scan(
            source,
            signals=self.signals,
            columns=(wanted | ({"metadata"} if needs_metadata else set())) & canonical,
            extra=own,
            on_error=on_error,
            default_types=default_types,
            mapping=self.mapping,
            now=self.now,
            positions=positions,
        )
        self._start = len(self._types.filled())
        self.scans.append(scan)
        if reserves:
            for column in self._columns():
                column.reserve(scan.rows_expected)
        for batch in _read_ahead(scan.batches()):
            self._add(batch, own_context)
            if self.on_batch is not None:
                self.on_batch(batch)
            yield

    def refuse_unplaced(self, reasons: pl.Series) -> None:
        """Send rows without a position to the quarantine, for a reason each; None: keep one."""
        refuse_unplaced(self.scans, self._filled, reasons)

    def date_future_rows(self, rows: LogRows, clock: int) -> None:
        """Date rows of the future, which were dated at the clock, as the latest other row.

        A log may have ended long ago: at the clock's time they would be far newer than all others.
        """
        if not any(scan.rows_of_future for scan in self.scans):
            return
        future = rows.time == clock
        latest = rows.time[~future].max(initial=NO_TIME)
        if latest != NO_TIME:
            rows.time[future] = latest

    @property
    def filled(self) -> dict[str, int]:
        """Recommended field -> rows read so far that have it."""
        return self._filled

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of text that have a code in every row."""
        return tuple(self._codes)

    def texts(self) -> dict[str, pl.Series]:
        """Return the distinct texts of every column, in the order of their codes."""
        return {name: interner.texts() for name, interner in self._interners.items()}

    def finish(self) -> LogRows:
        """Return everything that was read."""
        return self._rows(self.texts())

    def _drained(self) -> LogRows:
        """Return the rows since the last call, and forget them."""
        rows = self._rows({name: self._interners[name].texts() for name in _OF_BLOCK})
        self._clear()
        return rows

    def _rows(self, texts: dict[str, pl.Series]) -> LogRows:
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
            user=self._user.filled(),
            filled=self._filled,
            shown_from=self._start,
        )

    def _columns(self) -> list[GrowingArray]:
        numbers = [self._types, self._time, self._position, self._carried]
        return [*self._codes.values(), *numbers, *([self._user] if self.users else [])]

    def _add(self, batch: pl.DataFrame, own_context: set[str]) -> None:
        carried = self._carried.claim(len(batch))
        for name in self._texts:
            values = _column_or_metadata(batch, name) if name in own_context else batch[name]
            codes = self._codes[name].claim(len(batch))
            self._interners[name].add(values.cast(pl.String), codes)
        self._types.extend(batch["type_mask"].to_numpy())
        self._time.extend(_filled(batch["event_time"].to_physical(), NO_TIME))
        self._position.extend(_filled(batch["position"], -1))
        for name in ("document_score", "result_set_size"):
            carried[:, CARRIED.index(name)] = _filled(batch[name], np.nan)
        channel = self._codes["feature_uri"].filled()[-len(batch) :]
        carried[:, CARRIED.index("feature_uri")] = np.where(channel < 0, np.nan, channel)
        for name in _COVERED:
            self._filled[name] += len(batch) - batch[name].null_count()
        if self.users:
            user = self._user.claim(len(batch))
            # 0 is what is there: a log without users costs no memory for them.
            if batch["user_id"].null_count() < len(batch):
                user[:] = self._interners["user_id"].add(batch["user_id"]) + 1
        if batch["execution_id"].null_count():
            self._note_sessions(batch)

    def _note_sessions(self, batch: pl.DataFrame) -> None:
        """Code the sessions of the rows that have no execution_id of their own."""
        without = batch["execution_id"].is_null()
        start = len(self._types.filled()) - len(batch)
        self._without.extend(start + without.arg_true().to_numpy())
        chosen = batch["session_id"].filter(without)
        self._session.extend(self._interners["session_id"].add(chosen))


def refuse_unplaced(
    scans: Sequence[Scan | ScanCounts], filled: dict[str, int], reasons: pl.Series
) -> None:
    """Send rows without a position to the quarantines of their scans, for a reason each.

    None keeps a row. `filled`: recommended field -> rows that have it; less the refused ones then.
    """
    start = 0
    for scan in scans:
        end = start + scan.unplaced.height
        refused = scan.refuse_unplaced(reasons[start:end])
        start = end
        for name in _COVERED:
            filled[name] -= int(refused[name].sum()) if refused.height else 0


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


def _renumbered(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Return codes without gaps, and which ones are used; -1 stays."""
    used = np.zeros(int(codes.max(initial=-1)) + 1, np.bool_)
    used[codes[codes >= 0]] = True
    return recode(codes, np.cumsum(used, dtype=np.int32) - np.int32(1)), np.flatnonzero(used)


def _column_or_metadata(batch: pl.DataFrame, name: str) -> pl.Series:
    field_of = pl.col("metadata").str.json_path_match(f'$["{name}"]')
    return batch.select(pl.coalesce(pl.col(name).cast(pl.String), field_of)).to_series()
