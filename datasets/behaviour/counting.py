"""Behaviour counted level by level: from displays and moments to what came before each moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.progress import tracked
from .by_key import by_key
from .fold_displays import NEVER
from .names import LEVELS
from .pair_codes import pair_codes
from .prior_sums import UNBOUNDED, UNIT, Events, Moments, sum_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from .displays import Displays

    Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Counting:
    """How behaviour is counted.

    Attributes
    ----------
    displays : Displays
    examination : ndarray of float64, shape (n,)
        Of every display.
    windows : dict of str to int
        Name -> microseconds, or `UNBOUNDED`.
    prior_strength : float
        Examined displays that the parent's rate counts as.
    moment : ndarray of int64, shape (e,)
        Before which time events count for each execution; never decreases.
    """

    displays: Displays
    examination: NDArray[np.float64]
    windows: Mapping[str, int]
    prior_strength: float
    moment: NDArray[np.int64]

    @property
    def levels(self) -> list[str]:
        """Levels of which the log names the keys."""
        known = self.displays.keys
        return [name for name, level in LEVELS.items() if known.keys() >= {*level.keys}]

    @cached_property
    def _weight(self) -> NDArray[np.int64]:
        return np.rint(self.examination * UNIT).astype(np.int64)

    def pasts(self) -> Iterator[tuple[str, NDArray[np.int64], Floats]]:
        """Yield every level with each display's key, shape (n,), and past, shape (n, 3 w + 2).

        The next level's past overwrites that of the one before: new memory would cost as much time
        as the counting.
        """
        execution = self.displays.execution
        rates: dict[str | None, Floats] = {None: self.overall[execution]}
        parents = {level.parent for level in LEVELS.values()}
        windows, moment = np.array(list(self.windows.values())), self.moment[execution]
        past = np.empty((len(moment), 3 * len(windows) + 2), np.float32)
        names: Iterator[str] = tracked(self.levels, "Counting by level", len(self.levels))
        for name in names:
            keys, known_at = self._keys(name)
            parent, moments = rates[LEVELS[name].parent], Moments.of(keys, moment)
            self._past(self._events(keys, known_at), moments, windows, parent, past)
            if name in parents:
                rates[name] = np.ascontiguousarray(past[:, :-2:3])
            yield name, keys, past

    @cached_property
    def overall(self) -> Floats:
        """The rate of all displays before each execution's moment, shape (e, w).

        A window's is shrunk to that of all time.
        """
        events = self._events(np.zeros(len(self.displays), np.int64), None)
        moments = Moments.of(np.zeros(len(self.moment), np.int64), self.moment)
        everything, windows = np.array([UNBOUNDED]), np.array(list(self.windows.values()))
        rate = self._past(events, moments, everything, np.empty((0, 0), np.float32))[:, :1]
        shrunk = self._past(events, moments, windows, np.repeat(rate, len(windows), axis=1))
        return np.ascontiguousarray(shrunk[:, :-2:3])

    def _keys(self, level: str) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the key of every display at a level, -1 where unknown, and when it was known."""
        parts = [self.displays.keys[name] for name in LEVELS[level].keys]
        key = parts[0].codes.astype(np.int64)
        for part in parts[1:]:
            key = pair_codes(key, part.codes, max(len(part.texts), 1))
        times = [part.known_at for part in parts if part.known_at is not None]
        return key, reduce(np.maximum, times) if times else None

    def _events(
        self, key: NDArray[np.int64], known_at: NDArray[np.int64] | None
    ) -> tuple[Events, Events]:
        """Return displays and clicks by key, from when the key was known."""
        columns, n_keys = self.displays.columns, int(key.max(initial=-1)) + 1
        found = []
        for time, order in zip((columns.shown_at, columns.clicked_at), self._orders, strict=True):
            at = time
            if known_at is not None:
                at = np.maximum(time, known_at)
                order = order[np.argsort(at[order], kind="stable")]  # noqa: PLW2901
            starts, rows = by_key(key, order, n_keys)
            weight = self._weight[rows] if time is columns.shown_at else self._weight[:0]
            found.append(Events(starts, at[rows], np.cumsum(weight, out=weight)))
        return found[0], found[1]

    @cached_property
    def _orders(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Displays by the time at which they were shown, and clicked ones by that of the click."""
        columns = self.displays.columns
        clicked = np.flatnonzero(columns.clicked_at != NEVER)
        by_click = clicked[np.argsort(columns.clicked_at[clicked], kind="stable")]
        return np.argsort(columns.shown_at, kind="stable"), by_click

    def _past(
        self,
        events: tuple[Events, Events],
        moments: Moments,
        windows: NDArray[np.int64],
        parent: Floats,
        past: Floats | None = None,
    ) -> Floats:
        """Return, or fill in, what came before each moment; NaN for moments without a key."""
        if past is None:
            past = np.empty((len(moments.time), 3 * len(windows) + 2), np.float32)
        if len(moments.rows) < len(past):
            past[:] = np.nan
        sum_before(*events, moments, windows, parent, self.prior_strength, past)
        return past
