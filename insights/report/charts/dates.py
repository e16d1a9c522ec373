"""Ticks of an axis of dates: whole days where there are any, in English, UTC."""

from __future__ import annotations

import datetime as dt
import math
from typing import Final

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STEPS: Final = (1, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24, 91 * 24, 365 * 24, 3_650 * 24)
"""Hours between two ticks."""


def date_ticks(first: float, last: float, most: int) -> list[tuple[float, str]]:
    """Return ticks with their labels, at most so many; a new year and a new day are named.

    `first`, `last`: days since 1970.

    >>> date_ticks(20094, 20123, 4)
    [(20094.0, '6 Jan 2025'), (20108.0, '20 Jan'), (20122.0, '3 Feb')]
    >>> date_ticks(20094, 20094, 4)
    [(20094.0, '6 Jan 2025')]
    >>> date_ticks(20094.25, 20094.75, 4)
    [(20094.25, '6 Jan 2025 06:00'), (20094.5, '12:00'), (20094.75, '18:00')]
    >>> date_ticks(20094.5, 20095.5, 3)
    [(20094.5, '6 Jan 2025 12:00'), (20095.0, '7 Jan 00:00'), (20095.5, '12:00')]
    """
    hours = (last - first) * 24
    step = next((step for step in STEPS if hours / step <= most - 1), STEPS[-1]) if hours else 24
    start = math.ceil(round(first * 24 / min(step, 24), 6)) * min(step, 24)
    end = last * 24 + 1e-6
    whole = [float(start + n * step) for n in range(most) if start + n * step <= end]
    ticks = whole or [first * 24]
    moments = [dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=t) for t in ticks]
    before = [None, *moments[:-1]]
    labels = [_label(m, b, step) for m, b in zip(moments, before, strict=True)]
    return [(tick / 24, label) for tick, label in zip(ticks, labels, strict=True)]


def _label(moment: dt.datetime, before: dt.datetime | None, step: int) -> str:
    """Return what distinguishes a tick from the one before it; the first one names the year."""
    year = f" {moment.year}" if before is None or moment.year != before.year else ""
    day = f"{moment.day} {MONTHS[moment.month - 1]}{year}"
    if step >= 24:
        return day
    if before is not None and moment.date() == before.date():
        return f"{moment:%H:%M}"
    return f"{day} {moment:%H:%M}"
