"""Rows without a position, such as late conversions, joined to the display that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import polars as pl

from ..reading.displays import find_displays
from ..record import fault as reasons
from .executions import query_codes
from .fold import NO_TIME
from .row_reader import SNAPSHOT, LogRows
from .text_codes import ranks, recode

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..record.signals import SignalTable

    PositionsOf = Callable[[pl.Series, pl.Series], NDArray[np.int32]]
    """Position of every document (second) in its execution (first), -1 where not known."""

_KEY: Final = ("execution_id", "feature_id")


class UnplacedRows(Protocol):
    """What read the rows, and takes back those that get no position."""

    @property
    def signals(self) -> SignalTable:
        """Which types the rows have."""
        ...

    def refuse_unplaced(self, reasons: pl.Series) -> None:
        """Refuse rows without a position, in their order, for a reason each; None: keep one."""
        ...


@dataclass(frozen=True)
class PlacedRows:
    """Rows that all have a position.

    Attributes
    ----------
    rows : LogRows
    kept : ndarray of bool, or None
        Which rows of those that were read these are; None: all.
    placed, attributed, refused : int
        Rows without a position that took that of their execution, that of their user's last
        display, or none.
    """

    rows: LogRows
    kept: NDArray[np.bool_] | None = None
    placed: int = 0
    attributed: int = 0
    refused: int = 0


def place_rows(
    reader: UnplacedRows,
    rows: LogRows,
    *,
    query_key: Callable[[Any], str] | str | None = None,
    window: int | None = None,
    advice: bool = True,
    earlier: PositionsOf | None = None,
    keeps_list_level: bool = False,
) -> PlacedRows:
    """Give rows without a position that of their display; the others go to the quarantine.

    `rows` are those of `reader`, and are changed. `window`: see `find_displays`. `advice`: whether
    the reason names attribution as a way out. `earlier`: what was shown before these rows.
    `keeps_list_level`: whether rows that concern the list only are valid without a position; they
    get position 0.
    """
    unplaced = np.flatnonzero(rows.position < 0)
    if not len(unplaced):
        return PlacedRows(rows)
    of_document = (rows.types[unplaced] & reader.signals.implies_shown) != 0
    frame = display_rows(rows, reader.signals, query_key, attributes=window is not None)
    found = find_displays(frame, window)
    row, display = (found[name].to_numpy() for name in ("row", "display"))
    rows.position[row] = rows.position[display]
    shown_before = 0 if earlier is None else _place_by(earlier, rows, unplaced[of_document])
    if keeps_list_level:
        rows.position[unplaced[~of_document]] = 0
    nowhere = rows.position[unplaced] < 0
    without = reasons.NO_EXECUTION_ADVICE if advice else reasons.NO_EXECUTION
    without = without if window is None else reasons.NO_RECENT_DISPLAY
    names_execution = rows.codes["execution_id"][unplaced] >= 0
    why = pl.Series([reasons.MISSING, without, reasons.NO_DISPLAY])
    chosen = why.gather(np.where(of_document, 1 + names_execution, 0))
    reader.refuse_unplaced(chosen.set(pl.Series(~nowhere), None))
    rows = _joined(rows, row, display)
    attributed = int(found["attributed"].sum())
    kept = None
    if nowhere.any():
        kept = np.ones(len(rows), np.bool_)
        kept[unplaced[nowhere]] = False
        rows = rows.select(kept)
    placed = len(row) - attributed + shown_before
    return PlacedRows(rows, kept, placed, attributed, int(nowhere.sum()))


def _place_by(earlier: PositionsOf, rows: LogRows, unplaced: NDArray[np.intp]) -> int:
    """Give rows that name their execution the position known before; return how many got one."""
    names = rows.codes["execution_id"][unplaced] >= 0
    asking = unplaced[names & (rows.position[unplaced] < 0)]
    if not len(asking):
        return 0
    keys = (rows.texts[name].gather(rows.codes[name][asking]) for name in _KEY)
    rows.position[asking] = earlier(*keys)
    return int((rows.position[asking] >= 0).sum())


def _joined(rows: LogRows, row: NDArray[np.int64], display: NDArray[np.int64]) -> LogRows:
    """Note the executions of rows that name none."""
    named = rows.codes["execution_id"][row] >= 0
    by_itself = ~np.isin(rows.without_execution, row[~named])
    return replace(
        rows,
        without_execution=rows.without_execution[by_itself],
        session=rows.session[by_itself],
        joined=np.stack([row[~named], display[~named]], axis=1),
    )


def display_rows(
    rows: LogRows,
    signals: SignalTable,
    query_key: Callable[[Any], str] | str | None,
    *,
    attributes: bool,
    documents: NDArray[np.int32] | None = None,
) -> pl.DataFrame:
    """Return the rows without a position, and those that may say where they were shown.

    As `find_displays` takes them; executions, users and sessions are numbered alphabetically.

    Parameters
    ----------
    rows : LogRows
    signals : SignalTable
    query_key
        See `load_pairs`.
    attributes : bool
        Whether rows may be attributed to their users' displays.
    documents : ndarray of int32, optional
        Codes of further documents whose displays are asked for.
    """
    unplaced = np.flatnonzero(rows.position < 0)
    execution, document = rows.codes["execution_id"], rows.codes["feature_id"]
    chosen = _among(document, document[unplaced])
    if documents is not None:
        chosen |= _among(document, documents)
    if attributes:
        # Any row of an execution may name its user and its time.
        chosen |= _among(execution, execution[chosen])
    own = {"execution": execution, "document": document, "user": rows.user - np.int32(1)}
    asking = np.flatnonzero(chosen) if attributes else unplaced
    session, query = _sessions(rows, asking, query_key)
    if session is not None:
        # All rows of a session: they bound the executions that are inferred from it.
        chosen |= _among(session, session[asking])
    if attributes:
        # Ties go to the lowest id, whatever the order in which ids came.
        own["execution"] = recode(execution, ranks(rows.texts["execution_id"]))
        own["user"] = recode(own["user"], ranks(rows.texts["user_id"]))
    at = np.flatnonzero(chosen)
    codes = {**own, "session": session, "query": query}
    given = {name: own[at] for name, own in codes.items() if own is not None and len(own)}
    of_document = (rows.types[at] & signals.implies_shown) != 0
    given |= {"time": rows.time[at], "position": rows.position[at]}
    return pl.DataFrame({"row": at, **given, "of_document": of_document}).with_columns(
        *(pl.lit(None, pl.Int32).alias(name) for name in codes.keys() - given.keys()),
        *(pl.when(pl.col(n) >= 0).then(n).alias(n) for n in given.keys() - {"time"}),
        pl.when(pl.col("time") != NO_TIME).then("time").alias("time"),
    )


def _among(codes: NDArray[np.int32], chosen: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which codes are among some others; -1 is none."""
    size = max(int(codes.max(initial=-1)), int(chosen.max(initial=-1))) + 2
    wanted = np.zeros(size, np.bool_)
    wanted[chosen] = True
    wanted[-1] = False
    return np.asarray(wanted[codes])


def _sessions(
    rows: LogRows, asking: NDArray[np.int64], query_key: Callable[[Any], str] | str | None
) -> tuple[NDArray[np.int32] | None, NDArray[np.int32] | None]:
    """Return session and query of rows without an execution; None where `asking` has no session."""
    session = np.full(len(rows), -1, np.int32)
    session[rows.without_execution] = rows.session
    if (session[asking] < 0).all():
        return None, None
    column = query_key if isinstance(query_key, str) else SNAPSHOT
    query_of_text, _ = query_codes(rows.texts[column], query_key)
    session = recode(session, ranks(rows.texts["session_id"]))
    return session, recode(rows.codes[column], query_of_text)
