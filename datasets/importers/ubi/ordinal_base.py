"""Whether positions in events count from 0 or from 1: UBI leaves that to the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl

from ....errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

OrdinalBase: TypeAlias = Literal[0, 1, "hits"]

CLEAR: Final = 0.9
"""Share of the comparable events that a base must explain to be taken."""

MIN_COMPARED: Final = 5
"""Comparable events on each side of a change of the base: fewer could be chance."""


class Counted(NamedTuple):
    """From what a part of the events counts."""

    part: str  # which events, in words; empty for all
    base: int
    rows: pl.Expr  # whether an event is one of them


def check_base(given: object) -> None:
    """Refuse an ordinal_base that is none."""
    if given is None or given == "hits" or (given in {0, 1} and not isinstance(given, bool)):
        return
    msg = f"ordinal_base: expected 0, 1, 'hits' or None, got {given!r}"
    raise InvalidInputError(msg)


def with_base(
    events: pl.DataFrame, given: OrdinalBase | None
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the events with their ``base``, null where unknown, and the base of every part.

    `events`: columns ``ordinal``, ``index`` (null where unknown), ``application`` and ``time``.
    `given`: None: what the hit lists show, see `bases_of`. "hits": no base, so that ordinals are
    not used. Raises InvalidInputError if the hit lists show no base, or contradict each other.
    """
    if given == "hits":
        counted: list[Counted] = []
    elif given is not None:
        counted = [Counted("", given, pl.lit(value=True))]
    else:
        counted = list(bases_of(events))
    base = pl.coalesce(*(pl.when(part.rows).then(part.base) for part in counted), pl.lit(None))
    return (
        events.with_columns(base.cast(pl.Int64).alias("base")),
        {part.part or "all events": part.base for part in counted},
    )


def bases_of(events: pl.DataFrame) -> list[Counted]:
    """Return from what ordinals count, by comparison with the hit lists.

    An event with an ordinal whose object is in the hit list is comparable: the base is the
    difference between ordinal and index, if it is the same one of 0 and 1 in at least nine of ten
    such events. If it is not so for all of them, it may be so for each application, or before
    and after a point in time at which the client changed. Base 0 where no event has an ordinal.

    Raises InvalidInputError if nothing is comparable, or no base explains nine in ten.

    >>> times = {"time": [1, 2, 3, 4], "application": ["old", "old", "new", "new"]}
    >>> events = pl.DataFrame({"ordinal": [1, 3, 2, 0], "index": [0, 2, 2, 0], **times})
    >>> [(part.part, part.base) for part in bases_of(events)]
    [("application 'new'", 0), ("application 'old'", 1)]
    """
    if events["ordinal"].null_count() == events.height:
        return [Counted("", 0, pl.lit(value=True))]
    everything = pl.lit(value=True)
    counted = _parts("", everything, events)
    if counted is None:
        counted = []
        for name in events["application"].unique().sort().to_list():
            rows = pl.col("application").eq_missing(pl.lit(name, pl.String))
            label = "no application" if name is None else f"application {name!r}"
            parts = _parts(label, rows, events.filter(rows))
            if parts is None:
                raise InvalidInputError(_unclear(events))
            counted += parts
    if not counted:
        raise InvalidInputError(_unclear(events))
    return counted


def _parts(label: str, rows: pl.Expr, events: pl.DataFrame) -> list[Counted] | None:
    """Return one base for all events, or two with the time of the change; None if unclear.

    Nothing, if no event is comparable.
    """
    compared = events.select("time", shift=pl.col("ordinal") - pl.col("index")).drop_nulls()
    if not compared.height:
        return []
    for base in (0, 1):
        if (compared["shift"] == base).mean() >= CLEAR:  # type: ignore[operator]
            return [Counted(label, base, rows)]
    ordered = compared.sort("time")
    for first, cut in _changes(ordered["shift"].to_numpy()):
        time = ordered["time"][cut]
        before, after = rows & (pl.col("time") < time), rows & (pl.col("time") >= time)
        prefix = f"{label} " if label else ""
        return [
            Counted(f"{prefix}before {time}", first, before),
            Counted(f"{prefix}from {time}", 1 - first, after),
        ]
    return None


def _changes(shifts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first base and the number of events before the change that explains most."""
    for first in (1, 0):
        before, after = shifts == first, shifts == 1 - first
        explained = np.concatenate([[0], np.cumsum(before)])
        explained += after.sum() - np.concatenate([[0], np.cumsum(after)])
        cut = int(explained.argmax())
        sides = before[:cut], after[cut:]
        if all(len(side) >= MIN_COMPARED and side.mean() >= CLEAR for side in sides):
            yield first, cut


def ordinal_conflicts(events: pl.DataFrame) -> int:
    """Return how many events have an ordinal that differs from the index in the hit list."""
    differs = pl.col("ordinal") - pl.col("base") != pl.col("index")
    return int(events.select(differs.fill_null(value=False).sum()).item())


def _unclear(events: pl.DataFrame) -> str:
    shifts = (events["ordinal"] - events["index"]).drop_nulls()
    counts = {base: int((shifts == base).sum()) for base in (0, 1)}
    if not len(shifts):
        found = "no event with an ordinal is on an object of its query's hit list"
    else:
        found = (
            f"of {len(shifts):,} events with an ordinal on an object of the hit list, "
            f"{counts[0]:,} count from 0, {counts[1]:,} from 1, the others neither"
        )
    return (
        f"ordinal_base: not identifiable: {found}. Give ordinal_base=0 or ordinal_base=1, as the "
        "client that sent the events counts, or ordinal_base='hits' for the positions of the hit "
        "lists alone"
    )
