"""Rows without a position in a validation: which `load_pairs` would place, attribute or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from ..reading.displays import find_displays
from ..record import fault as reasons
from ..record.query_keys import canonical_query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..reading.scan import Scan
    from ..record.signals import SignalTable

_IDS: Final = {
    "execution": "execution_id",
    "document": "feature_id",
    "user": "user_id",
    "session": "session_id",
}


class Unplaced(NamedTuple):
    """What became of rows without a position.

    Attributes
    ----------
    placed, attributed : int
        Rows that took the position of their execution, or of their user's last display.
    refused : DataFrame
        The others, which went to the quarantine; see `Scan.unplaced`.
    """

    placed: int
    attributed: int
    refused: pl.DataFrame


def unplaced_sentence(placed: int, attributed: int, refused: int) -> list[str]:
    """Return a sentence about rows without a position, where there are any.

    Examples
    --------
    >>> unplaced_sentence(2, 0, 0)[0].split(":")[0], unplaced_sentence(0, 0, 0)
    ('2 rows without a position', [])
    """
    total = placed + attributed + refused
    if not total:
        return []
    sentence = (
        f"{total:,} row{'' if total == 1 else 's'} without a position: {placed:,} placed by their "
        f"execution, {attributed:,} attributed to their user's last display, {refused:,} "
        "quarantined"
    )
    return [sentence]


def place_keys(
    rows: pl.DataFrame, scan: Scan, again: Callable[[], Sequence[Scan]], window: int | None
) -> tuple[pl.DataFrame, Unplaced]:
    """Give rows of a validation the positions that `load_pairs` gives them; refuse the others.

    Parameters
    ----------
    rows : DataFrame
        ``execution_id`` and ``position`` of all rows, those of `scan` first.
    scan : Scan
        That was read; its quarantine takes the refused rows.
    again : callable
        Returns scans of the same sources: these are read again only where rows lack a position.
    window : int, optional
        See `find_displays`.
    """
    unplaced = rows["position"].is_null().arg_true().to_numpy()
    if not len(unplaced):
        return rows, Unplaced(0, 0, scan.unplaced)
    details = _details(again(), scan.signals)
    found = find_displays(details, window)
    row, display = (found[name].to_numpy() for name in ("row", "display"))
    rows = rows.with_columns(
        rows[name].scatter(row, rows[name].gather(display)) for name in ("execution_id", "position")
    )
    of = details[unplaced]
    no_list = reasons.NO_EXECUTION_ADVICE if window is None else reasons.NO_RECENT_DISPLAY
    reason = (
        pl.when(~pl.col("of_document"))
        .then(pl.lit(reasons.MISSING))
        .when(pl.col("execution").is_null())
        .then(pl.lit(no_list))
        .otherwise(pl.lit(reasons.NO_DISPLAY))
    )
    nowhere = rows["position"].gather(unplaced).is_null()
    refused = scan.refuse_unplaced(of.select(reason).to_series().set(~nowhere, None))
    attributed = int(found["attributed"].sum())
    return rows.drop_nulls("position"), Unplaced(found.height - attributed, attributed, refused)


def _details(scans: Sequence[Scan], signals: SignalTable) -> pl.DataFrame:
    """Return the rows of scans as `find_displays` takes them."""
    shown = (pl.col("type_mask") & int(signals.implies_shown)) != 0
    parts = [
        batch.select(
            *(
                pl.when(pl.col(n).is_not_null()).then(pl.col(n).hash()).alias(k)
                for k, n in _IDS.items()
            ),
            _canonical(batch["query_snapshot"]).alias("query"),
            pl.col("event_time").to_physical().alias("time"),
            "position",
            shown.alias("of_document"),
        )
        for scan in scans
        for batch in scan.batches()
    ]
    codes = [pl.col(name).rank("dense") for name in (*_IDS, "query")]
    return pl.concat(parts).with_columns(codes).with_row_index("row")


def _canonical(queries: pl.Series) -> pl.Series:
    """Return a hash of the canonical form of every query."""
    distinct = queries.unique().drop_nulls()
    same = pl.Series([canonical_query(text) for text in distinct], dtype=pl.String).hash()
    return queries.replace_strict(distinct, same, default=None, return_dtype=pl.UInt64)
