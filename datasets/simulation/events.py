"""From simulated lists and clicks to events: what was logged, of what, at which position, when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError, did_you_mean
from .sessions import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Mix = Mapping[str, tuple[float, float]]

AFTER_CLICK: dict[str, tuple[float, float]] = {
    "dwell": (0.25, 0.8),
    "long_view": (0.05, 0.5),
    "bookmark": (0.01, 0.08),
    "share": (0.005, 0.03),
    "wishlist": (0.005, 0.04),
    "add_to_cart": (0.02, 0.2),
    "purchase": (0.002, 0.08),
    "positive_feedback": (0.003, 0.05),
}
"""Type -> probability after a click that satisfied, at relevance 0 and at relevance 1."""

OTHER_MIX: dict[str, tuple[float, float]] = {
    "return_to_results": (0.35, 0.03),
    "negative_feedback": (0.02, 0.001),
    "view": (0.05, 0.05),
    "skip": (0.04, 0.01),
    "query_refinement": (0.05, 0.05),
    "filter_toggle": (0.03, 0.03),
    "zero_results": (0.01, 0.01),
}
"""The same after a click that did not satisfy, after no click, and for rows about the list."""

DELAY_SECONDS = {"dwell": 30, "long_view": 60, "return_to_results": 8, "skip": 15, "view": 3}
SINGLE = ("impression", "click", *AFTER_CLICK, *OTHER_MIX)
SEVERAL = (("impression", "view"), ("impression", "click"))
TYPE_LISTS: tuple[tuple[str, ...], ...] = (
    *((name,) for name in SINGLE),
    *SEVERAL,
    *((second, first) for first, second in SEVERAL),
)
CODE: dict[tuple[str, ...], int] = {types: code for code, types in enumerate(TYPE_LISTS)}

FLAWS = (
    "negative position",
    "unknown type",
    "empty feature_id",
    "infinite score",
    "no type",
    "negative result_set_size",
    "no feature_id",
    "no position",
)
NO_FLAW = -1


@dataclass(frozen=True)
class Served:
    """What was shown and clicked; S executions of at most K documents.

    Attributes
    ----------
    query, ranker : ndarray of int64, shape (S,)
    row : ndarray of int64, shape (S, K)
        Row of the catalogue, -1 beyond the end of the list.
    clicks : ndarray of bool, shape (S, K)
    relevance : ndarray of float64, shape (S, K)
        NaN beyond the end of the list.
    time : ndarray of int64, shape (S,)
    """

    query: NDArray[np.int64]
    ranker: NDArray[np.int64]
    row: NDArray[np.int64]
    clicks: NDArray[np.bool_]
    relevance: NDArray[np.float64]
    time: NDArray[np.int64]


@dataclass(frozen=True)
class Events:
    """One entry per row of the log."""

    # Execution * list size + position; -1 - execution for rows about the whole list
    cell: NDArray[np.int64]
    code: NDArray[np.int8]  # index into `TYPE_LISTS`
    time: NDArray[np.int64]  # UTC microseconds
    flaw: NDArray[np.int8]  # `NO_FLAW`, or the index into `FLAWS` of how the row is broken

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.cell)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Events:
        """Return the chosen entries."""
        return Events(self.cell[rows], self.code[rows], self.time[rows], self.flaw[rows])


def mix_of(interactions: str, overrides: Mapping[str, float | tuple[float, float]] | None) -> Mix:
    """Return type -> (probability at relevance 0, at relevance 1); empty for clicks alone."""
    if interactions not in ("all", "clicks"):
        msg = f"interactions: expected 'all' or 'clicks', got {interactions!r}"
        raise InvalidInputError(msg)
    if interactions == "clicks":
        return {}
    mix = {**AFTER_CLICK, **OTHER_MIX}
    for name, given in (overrides or {}).items():
        low, high = given if isinstance(given, tuple) else (given, given)
        if name not in mix or not (0 <= low <= 1 and 0 <= high <= 1):
            msg = (
                f"interaction_mix: got {name!r}: {given!r}, expected a probability (or one at "
                f"relevance 0 and one at 1) for one of {', '.join(mix)}.{did_you_mean(name, mix)}"
            )
            raise InvalidInputError(msg)
        mix[name] = (low, high)
    return mix


def simulate_events(
    served: Served,
    *,
    mix: Mix,
    several_types: float,
    duplicates: float,
    dirty: float,
    rng: np.random.Generator,
) -> Events:
    """Draw every event of every execution; return them ordered by time."""
    shown = _events(np.flatnonzero(served.row >= 0), ("impression",), served, 0.0, rng)
    clicks = _clicks(served, rng)
    others = [*_following(clicks, served, mix, rng), *_unclicked(shown, served, mix, rng)]
    others += _of_lists(served, mix, rng)
    rows = len(shown) + len(clicks) + sum(map(len, others))
    shown, clicks = _combined(shown, clicks, several_types * rows, views=bool(mix), rng=rng)
    events = _repeated(_concatenated([shown, clicks, *others]), duplicates, dirty, rng)
    return events.take(np.argsort(events.time, kind="stable"))


def _events(
    cell: NDArray[np.int64],
    types: tuple[str, ...],
    served: Served,
    delay: float,
    rng: np.random.Generator,
    after: NDArray[np.int64] | None = None,
) -> Events:
    """Make events of one kind, about `delay` seconds after the list was shown or after `after`."""
    execution = np.where(cell < 0, -1 - cell, cell // served.row.shape[1])
    time = served.time[execution] if after is None else after
    if delay:
        time = time + rng.integers(int(delay * SECOND / 2), int(delay * SECOND * 3 / 2), len(cell))
    code = np.full(len(cell), CODE[types], dtype=np.int8)
    return Events(cell, code, time, np.full(len(cell), NO_FLAW, dtype=np.int8))


def _clicks(served: Served, rng: np.random.Generator) -> Events:
    cell = np.flatnonzero(served.clicks)
    reading = served.time[cell // served.row.shape[1]] + cell % served.row.shape[1] * SECOND
    return _events(cell, ("click",), served, 2.0, rng, after=reading)


def _drawn(
    cell: NDArray[np.int64],
    name: str,
    served: Served,
    mix: Mix,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw whether an interaction follows, more or less often with the document's relevance."""
    low, high = mix[name]
    chance = low + (high - low) * served.relevance.ravel()[cell]
    return rng.random(len(cell)) < chance


def _following(clicks: Events, served: Served, mix: Mix, rng: np.random.Generator) -> list[Events]:
    """Draw what a click leads to: back to the results, or to further interactions."""
    if not mix:
        return []
    back = _drawn(clicks.cell, "return_to_results", served, mix, rng)
    negative = _drawn(clicks.cell, "negative_feedback", served, mix, rng) & back
    chosen = {"return_to_results": back, "negative_feedback": negative}
    for name in AFTER_CLICK:
        chosen[name] = _drawn(clicks.cell, name, served, mix, rng) & ~back
    return [
        _events(clicks.cell[at], (name,), served, _delay(name), rng, after=clicks.time[at])
        for name, at in chosen.items()
    ]


def _unclicked(shown: Events, served: Served, mix: Mix, rng: np.random.Generator) -> list[Events]:
    if not mix:
        return []
    cell = shown.cell[~served.clicks.ravel()[shown.cell]]
    return [
        _events(cell[_drawn(cell, name, served, mix, rng)], (name,), served, _delay(name), rng)
        for name in ("view", "skip")
    ]


def _of_lists(served: Served, mix: Mix, rng: np.random.Generator) -> list[Events]:
    """Draw rows about lists; an execution that shows nothing has its zero_results row alone."""
    empty = served.row[:, 0] < 0
    parts = [_events(-1 - np.flatnonzero(empty), ("zero_results",), served, 0.0, rng)]
    for name in ("query_refinement", "filter_toggle") if mix else ():
        drawn = ~empty & (rng.random(len(empty)) < mix[name][0])
        parts.append(_events(-1 - np.flatnonzero(drawn), (name,), served, _delay(name), rng))
    return parts


def _combined(
    shown: Events, clicks: Events, target: float, *, views: bool, rng: np.random.Generator
) -> tuple[Events, Events]:
    """Merge some impressions with their click (or a view): rows that hold several types.

    `target` is several_types * (rows before merging); each merged click takes one
    row away, which the denominator allows for.
    """
    clicked = np.isin(shown.cell, clicks.cell, assume_unique=True)
    share = clicked.mean() if clicked.size else 0.0
    places = len(shown) if views else len(clicks)
    merged_clicks = target / max(len(shown), 1) * (share if views else 1.0)
    chance = target / max(places + merged_clicks, 1)
    chosen = (rng.random(len(shown)) < chance) & (clicked | views)
    with_click = chosen & clicked
    code, time = shown.code.copy(), shown.time.copy()
    code[chosen] = CODE["impression", "view"]
    code[with_click] = CODE["impression", "click"]
    merged = np.isin(clicks.cell, shown.cell[with_click], assume_unique=True)
    time[with_click] = clicks.time[merged]
    return Events(shown.cell, code, time, shown.flaw), clicks.take(~merged)


def _repeated(events: Events, duplicates: float, dirty: float, rng: np.random.Generator) -> Events:
    """Repeat a share of the rows within five minutes and break a share of the others."""
    n = len(events)
    copies = round(duplicates * n)
    broken = round(dirty * (n + copies))
    if min(duplicates, dirty) < 0 or copies + broken > n:
        msg = f"duplicates and dirty: expected shares that fit, got {duplicates} and {dirty}"
        raise InvalidInputError(msg)
    if not copies + broken:
        return events
    chosen = rng.choice(n, copies + broken, replace=False)
    flaw = events.flaw.copy()
    flaw[chosen[copies:]] = np.arange(broken) % len(FLAWS)
    again = events.take(chosen[:copies])
    reversed_code = np.array(
        [CODE.get(types[::-1], code) for types, code in CODE.items()], dtype=np.int8
    )
    later = again.time + rng.integers(SECOND, 240 * SECOND, copies)
    repeated = Events(again.cell, reversed_code[again.code], later, again.flaw)
    return _concatenated([Events(events.cell, events.code, events.time, flaw), repeated])


def _concatenated(parts: list[Events]) -> Events:
    return Events(
        np.concatenate([part.cell for part in parts]),
        np.concatenate([part.code for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.flaw for part in parts]),
    )


def _delay(name: str) -> float:
    return DELAY_SECONDS.get(name, 40)
