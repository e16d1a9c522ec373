"""The compiled kernel that counts what came before each moment, key by key and window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.jit import kernel
from .by_key import by_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIT: Final = 1 << 30
"""Examination 1 as a whole number: such sums are exact, so no order and no later row changes them.

A log of 8 billion displays overflows none of them.
"""

UNBOUNDED: Final = np.iinfo(np.int64).max
_DAY: Final = 86_400_000_000


class Events(NamedTuple):
    """Displays or clicks of every key in order of time; arrays of shape (m,)."""

    starts: NDArray[np.int64]  # shape (k + 1,): where each key's events start
    time: NDArray[np.int64]
    weight: NDArray[np.int64]  # sums up to and with each event; empty for clicks


class Moments(NamedTuple):
    """Moments of which every key's past is wanted; arrays of shape (q,)."""

    starts: NDArray[np.int64]  # shape (k + 1,): where each key's moments start
    rows: NDArray[np.int32]  # moments by key, in order of time
    time: NDArray[np.int64]  # of every moment, by its own number

    @classmethod
    def of(cls, key: NDArray[np.int64], time: NDArray[np.int64]) -> Moments:
        """Sort moments, which are in order of time, by key; -1 is no key."""
        n_keys = int(key.max(initial=-1)) + 1
        return cls(*by_key(key, np.arange(len(key)), n_keys), time)


STATISTICS: Final = ("rate", "clicks", "shown")
"""Columns of a past for each window; after those of all windows stand `SINCE` and `AGE`."""


@kernel
def _advanced(time: NDArray[np.int64], at: int, end: int, before: int) -> int:
    """Return the first event from `at` to before `end` that is not before a time."""
    while at < end and time[at] < before:
        at += 1
    return at


@kernel
def sum_before(
    displays: Events,
    clicks: Events,
    moments: Moments,
    windows: NDArray[np.int64],
    parent: NDArray[np.float32],
    prior_strength: float,
    past: NDArray[np.float32],
) -> None:
    """Fill in the past of every moment: events with moment - window <= time < moment.

    `past`, shape (q, 3 w + 2): rate, clicks and shown of every window, then the days since the last
    display and since the first; a row for each moment, so that it is written at once. Rows of
    moments without a key stay as they are. `parent`, shape (q, w): the rates to shrink to; where
    it is empty, rates are not shrunk.
    """
    shown_time, shown_weight, click_time = displays.time, displays.weight, clicks.time
    n_windows = len(windows)
    low_shown = np.empty(n_windows, np.int64)
    low_click = np.empty(n_windows, np.int64)
    for k in range(len(moments.starts) - 1):
        shown_start, shown_end = displays.starts[k], displays.starts[k + 1]
        click_start, click_end = clicks.starts[k], clicks.starts[k + 1]
        high_shown, high_click = shown_start, click_start
        low_shown[:] = shown_start
        low_click[:] = click_start
        for m in range(moments.starts[k], moments.starts[k + 1]):
            q = moments.rows[m]
            now = int(moments.time[q])
            high_shown = _advanced(shown_time, high_shown, shown_end, now)
            high_click = _advanced(click_time, high_click, click_end, now)
            past[q, -2:] = np.nan
            if high_shown > shown_start:
                past[q, -2] = (now - shown_time[high_shown - 1]) / _DAY
                past[q, -1] = (now - shown_time[shown_start]) / _DAY
            for w in range(n_windows):
                if windows[w] != UNBOUNDED:
                    begin = now - int(windows[w])
                    low_shown[w] = _advanced(shown_time, low_shown[w], high_shown, begin)
                    low_click[w] = _advanced(click_time, low_click[w], high_click, begin)
                shown = high_shown - low_shown[w]
                clicked = float(high_click - low_click[w])
                examined = 0.0
                if shown:
                    before = shown_weight[low_shown[w] - 1] if low_shown[w] else 0
                    examined = (shown_weight[high_shown - 1] - before) / UNIT
                rate = np.nan
                if parent.size:
                    p = np.float64(parent[q, w])
                    rate = p + (clicked - examined * p) / (examined + prior_strength)
                elif examined > 0:
                    rate = clicked / examined
                past[q, 3 * w], past[q, 3 * w + 1], past[q, 3 * w + 2] = rate, clicked, shown
