"""Which rows of a table repeat an earlier one; `DUPLICATE_WINDOW` states the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..record.interaction import DUPLICATE_WINDOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAME: Final = ("execution_id", "feature_id", "type_mask")


def mark_duplicates(frame: pl.DataFrame) -> pl.Series:
    """Return for every row whether it repeats one that was kept.

    A row repeats another if it has the ``interaction_id`` of an earlier one, or else the same
    (execution_id, feature_id, set of types) as one that was kept at most 5 minutes before it, both
    in the order of event time, ties by interaction_id. Rows without an execution_id or a time
    repeat none by the second rule.

    Parameters
    ----------
    frame : DataFrame
        Columns ``execution_id``, ``feature_id``, ``type_mask``, ``event_time`` and, optionally,
        ``interaction_id``: the batches of `Scan`, or their hashes.

    Returns
    -------
    Series of Boolean, length ``len(frame)``

    Raises
    ------
    InvalidInputError
        If a column is missing.

    Examples
    --------
    >>> from rankloom.datasets.reading.scan import Scan
    >>> row = {"feature_id": "a", "execution_id": "e", "interaction_type": ["click"], "position": 0}
    >>> times = ["2026-01-31T12:00", "2026-01-31T12:04", "2026-01-31T12:06"]
    >>> batch, = Scan([row | {"occurred_at": time} for time in times]).batches()
    >>> mark_duplicates(batch).to_list()
    [False, True, False]
    """
    missing = [name for name in (*_SAME, "event_time") if name not in frame.columns]
    if missing:
        msg = f"frame: no column {', '.join(missing)}; expected a batch of Scan"
        raise InvalidInputError(msg)
    if "interaction_id" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.String).alias("interaction_id"))
    ordered = frame.select(*_SAME, "event_time", "interaction_id").with_row_index("row")
    ordered = ordered.sort("event_time", "interaction_id", nulls_last=True, maintain_order=True)
    resent = pl.col("interaction_id").is_not_null() & ~pl.col("interaction_id").is_first_distinct()
    ordered = ordered.with_columns(resent.alias("resent"))
    duplicate = np.zeros(frame.height, dtype=np.bool_)
    duplicate[ordered.filter("resent")["row"].to_numpy()] = True
    duplicate[_repeats(ordered.filter(~pl.col("resent")))] = True
    return pl.Series("duplicate", duplicate)


def _repeats(ordered: pl.DataFrame) -> NDArray[np.int64]:
    """Return the rows that repeat another one within the window."""
    able = pl.col("execution_id").is_not_null() & pl.col("event_time").is_not_null()
    groups = (
        ordered.filter(able)
        .with_columns(pl.struct(_SAME).rank("dense").alias("group"))
        .filter(pl.len().over("group") > 1)
        .sort("group", maintain_order=True)
    )
    repeats = _within_window(
        groups["group"].to_list(),
        groups["event_time"].to_physical().to_list(),
    )
    return groups["row"].to_numpy()[repeats].astype(np.int64)


def _within_window(groups: list[int], times: list[int]) -> NDArray[np.bool_]:
    # "Of the last kept one" makes every row depend on the one before, so this is a loop.
    repeats = np.zeros(len(groups), dtype=np.bool_)
    kept_group, kept_time = -1, 0
    for index, (group, time) in enumerate(zip(groups, times, strict=True)):
        if group == kept_group and time - kept_time <= DUPLICATE_WINDOW:
            repeats[index] = True
        else:
            kept_group, kept_time = group, time
    return repeats
