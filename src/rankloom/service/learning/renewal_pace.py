"""How often a costly thing may be done, by what it has just cost."""

from __future__ import annotations

import math
from typing import Final

LONGEST_REST: Final = 60.0
"""Longest pause in seconds: where the machine was suspended, anything looks costly."""


class RenewalPace:
    """Says when something is due again, so that it takes no more than a share of the time.

    Parameters
    ----------
    least : float
        Seconds from the end of one time to the beginning of the next, at least.
    share : float
        Largest share of the time that it may take, as far as `LONGEST_REST` is rest enough.

    Examples
    --------
    >>> pace = RenewalPace(least=1.0, share=0.1)
    >>> pace.is_due(0.0)
    True
    >>> pace.note(0.0, 0.05)
    >>> pace.is_due(1.0), pace.is_due(1.05)
    (False, True)
    >>> pace.note(1.05, 3.05)
    >>> pace.is_due(21.0), pace.is_due(21.1)
    (False, True)
    >>> pace.note(22.0, 3_622.0)
    >>> pace.is_due(3_681.0), pace.is_due(3_682.0)
    (False, True)
    """

    def __init__(self, least: float, share: float) -> None:
        self._least, self._rest = least, 1.0 / share - 1.0
        self._due = -math.inf

    def is_due(self, now: float) -> bool:
        """Return whether it may be done again."""
        return now >= self._due

    def note(self, started: float, ended: float) -> None:
        """Take note of when it was done."""
        rest = min(self._rest * (ended - started), LONGEST_REST)
        self._due = ended + max(self._least, rest)

    def hurry(self) -> None:
        """Let it be due at once."""
        self._due = -math.inf
