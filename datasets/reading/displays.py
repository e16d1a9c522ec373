"""Which display an interaction without a position belongs to: its execution's, or its user's last.

A display is the earliest row with a position of a document in an execution. A row that names its
execution takes the one there. A row that names none takes the one of its session and query, as
long as that execution lasts; else, where an attribution window is given, the last one of its user.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ...errors import InvalidInputError
from ..record.inferred_executions import SESSION_GAP, infer_executions

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOUR: Final = 3_600_000_000
_UNITS: Final = {"h": _HOUR, "d": 24 * _HOUR}
_DURATION: Final = re.compile(r"\s*([1-9][0-9]{0,4})\s*([hd])\s*")
_NO_TIME: Final = -(1 << 62)


def attribution_window(text: Any, parameter: str = "attribution") -> int | None:
    """Return the microseconds of a duration such as "12h" or "7d"; None for None.

    `parameter`: named in the error.

    Examples
    --------
    >>> attribution_window("7d") // 3_600_000_000
    168
    """
    if text is None:
        return None
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        msg = f"{parameter}: expected whole hours or days such as '12h' or '7d', got {text!r}"
        raise InvalidInputError(msg)
    return int(found[1]) * _UNITS[found[2]]


def find_displays(rows: pl.DataFrame, window: int | None = None) -> pl.DataFrame:
    """Find the displays of rows without a position.

    Parameters
    ----------
    rows : DataFrame
        ``row``; ``execution``, ``document``, ``user``, ``session`` and ``query`` as whole numbers,
        null where missing; ``time`` in microseconds and ``position``, null where missing;
        ``of_document``, false where a row concerns the list only, which neither needs nor is a
        display.
    window : int, optional
        Microseconds that may lie between a user's display and an event without an execution.

    Returns
    -------
    DataFrame
        ``row`` and its ``display``, another row, and whether it was ``attributed`` to the user's
        last one. Rows without a display are absent.

    Examples
    --------
    >>> rows = pl.DataFrame(
    ...     {
    ...         "row": [0, 1], "execution": [5, 5], "document": [3, 3], "user": [None, None],
    ...         "session": [None, None], "query": [None, None], "time": [None, None],
    ...         "position": [2, None], "of_document": [True, True],
    ...     }
    ... )
    >>> find_displays(rows).rows()
    [(1, 0, False)]
    """
    events, displays = _events(rows), _displays(rows)
    own = events.join(displays, on=["execution", "document"], suffix="_shown")
    inferred = _inferred(events, displays)
    found = [_found(own), _found(inferred)]
    if window is not None:
        last = _last_of_user(_others(events, inferred), displays, rows, window)
        found.append(_found(last, attributed=True))
    return pl.concat(found)


def find_last_displays(rows: pl.DataFrame, window: int) -> pl.DataFrame:
    """Find the displays of rows without a position and an execution among some of a log's rows.

    Parameters
    ----------
    rows, window
        See `find_displays`.

    Returns
    -------
    DataFrame
        ``row``; whether its display is the user's last one of these, and not that of its session
        and query (``attributed``). Where it is, what decides between displays of several such
        frames: the latest ``shown_at``, then the lowest ``position``, ``execution``, ``session``
        of the display, null last. Rows without a display are absent.
    """
    events, displays = _events(rows), _displays(rows)
    inferred = _inferred(events, displays)
    last = _last_of_user(_others(events, inferred), displays, rows, window)
    of_display = (
        pl.col(f"{name}_shown").alias(name) for name in ("position", "execution", "session")
    )
    attributed = last.select("row", pl.lit(value=True).alias("attributed"), "shown_at", *of_display)
    settled = inferred.select("row", pl.lit(value=False).alias("attributed"))
    return pl.concat([attributed, settled], how="diagonal")


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a document without a position."""
    return rows.filter(pl.col("position").is_null() & pl.col("of_document"))


def _others(events: pl.DataFrame, inferred: pl.DataFrame) -> pl.DataFrame:
    """Return events without an execution that are not among those of `_inferred`."""
    return events.filter(pl.col("execution").is_null()).join(inferred, on="row", how="anti")


def _found(joined: pl.DataFrame, *, attributed: bool = False) -> pl.DataFrame:
    shown = pl.col("row_shown").alias("display")
    return joined.select("row", shown, pl.lit(attributed).alias("attributed"))


def _displays(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the displays of the events' documents, each with the bounds of its execution.

    ``list`` is the execution, a negative number where it is inferred.
    """
    placed = rows.filter(pl.col("position").is_not_null())
    own = placed.filter(pl.col("execution").is_not_null())
    rest = placed.filter(pl.col("execution").is_null()).drop_nulls(["session", "query"])
    key = rest.select(pl.struct("session", "query").rank("dense"))["session"].to_numpy()
    number, _ = infer_executions(key, rest["time"].fill_null(_NO_TIME).to_numpy())
    rest = rest.with_columns(pl.Series("list", -1 - number)).with_columns(
        _since(pl.col("time")).min().over("list").alias("start"),
        _since(pl.col("time")).max().over("list").alias("last"),
    )
    listed = own.with_columns(pl.col("execution").cast(pl.Int64).alias("list"))
    return (
        pl.concat([listed, rest], how="diagonal")
        .filter("of_document")
        .join(_events(rows), on="document", how="semi")
        .sort("time", "position", "row")
        .unique(["list", "document"], keep="first", maintain_order=True)
    )


def _since(time: pl.Expr) -> pl.Expr:
    return time.fill_null(_NO_TIME)


def _inferred(events: pl.DataFrame, displays: pl.DataFrame) -> pl.DataFrame:
    """Return events without an execution, with the display in that of their session and query."""
    events = events.filter(pl.col("execution").is_null())
    inferred = displays.filter(pl.col("list") < 0)
    time = _since(pl.col("time"))
    lasts = time.is_between(pl.col("start") - SESSION_GAP, pl.col("last") + SESSION_GAP)
    return (
        events.join(inferred, on=["session", "query", "document"], suffix="_shown")
        .filter(lasts)
        # Of two executions between which an event lies, the one that had begun.
        .sort("row", time < pl.col("start"))
        .unique("row", keep="first", maintain_order=True)
    )


def _known_of_executions(displays: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return displays with the user and the first time of their executions where they lack them."""
    named = rows.filter(pl.col("execution").is_not_null())
    users = named.drop_nulls("user").sort("time", "user").unique("execution", keep="first")
    times = named.group_by("execution").agg(pl.col("time").min().alias("first"))
    return (
        displays.join(users.select("execution", user_of="user"), on="execution", how="left")
        .join(times, on="execution", how="left")
        .with_columns(pl.coalesce("user", "user_of"), pl.coalesce("time", "first"))
        .drop_nulls(["user", "time"])
    )


def _last_of_user(
    events: pl.DataFrame, displays: pl.DataFrame, rows: pl.DataFrame, window: int
) -> pl.DataFrame:
    """Return events with the last display of their document to their user within the window.

    ``shown_at``: the time of the display, or the first one of its execution.
    """
    by: Sequence[str] = ["user", "document"]
    ties = ["time", "position", "execution", -pl.col("list")]
    shown = (
        _known_of_executions(displays, rows)
        .sort(ties, nulls_last=True)
        .unique([*by, "time"], keep="first", maintain_order=True)
        .with_columns(shown_at="time")
    )
    return (
        events.drop_nulls(["user", "time"])
        .sort("time")
        .join_asof(
            shown,
            on="time",
            by=by,
            tolerance=window,
            suffix="_shown",
            check_sortedness=False,
        )
        .drop_nulls("row_shown")
    )
