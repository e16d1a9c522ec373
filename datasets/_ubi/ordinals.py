"""Whether positions in events count from 0 or from 1: UBI leaves that to the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...errors import InvalidInputError

if TYPE_CHECKING:
    import polars as pl

CLEAR: Final = 0.9
"""Share of the comparable events that a base must explain to be taken."""


def check_base(given: object) -> None:
    """Refuse an ordinal_base that is neither 0, 1 nor None."""
    if given is not None and (isinstance(given, bool) or given not in {0, 1}):
        msg = f"ordinal_base: expected 0, 1 or None, got {given!r}"
        raise InvalidInputError(msg)


def ordinal_base_of(events: pl.DataFrame) -> int:
    """Return the base of ordinals that the hit lists speak for.

    Every event that has an ordinal and whose object is in the hit list of its query is compared:
    the base is the difference between ordinal and index in the hit list, if it is the same one of
    0 and 1 in at least nine of ten such events. Base 0 where no event has an ordinal.

    Parameters
    ----------
    events : DataFrame
        Columns ``ordinal`` and ``index``, null where unknown.

    Raises
    ------
    InvalidInputError
        If there is nothing to compare, or the hit lists contradict each other.

    Examples
    --------
    >>> import polars as pl
    >>> events = pl.DataFrame({"ordinal": [1, 3, 2, None], "index": [0, 2, 1, 5]})
    >>> ordinal_base_of(events)
    1
    """
    if events["ordinal"].null_count() == events.height:
        return 0
    shifts = (events["ordinal"] - events["index"]).drop_nulls()
    counts = {base: int((shifts == base).sum()) for base in (0, 1)}
    base = max(counts, key=counts.__getitem__)
    if not len(shifts) or counts[base] < CLEAR * len(shifts):
        raise InvalidInputError(_unclear(counts, len(shifts)))
    return base


def ordinal_conflicts(events: pl.DataFrame, base: int) -> int:
    """Return how many events have an ordinal that differs from the index in the hit list."""
    return int((events["ordinal"] - base != events["index"]).fill_null(value=False).sum())


def _unclear(counts: dict[int, int], compared: int) -> str:
    if not compared:
        found = "no event with an ordinal is on an object of its query's hit list"
    else:
        found = (
            f"of {compared:,} events with an ordinal on an object of the hit list, "
            f"{counts[0]:,} count from 0, {counts[1]:,} from 1, the others neither"
        )
    return (
        f"ordinal_base: cannot be told: {found}. Give ordinal_base=0 or ordinal_base=1, "
        "as the client that sent the events counts"
    )
